"""Templates against Go's: the outputs of AGREED were recorded from text/template (Go 1.26, `missingkey=error`)."""

from __future__ import annotations

import pytest

from secretsvc.errors import UsageError
from secretsvc.operations.go_template import Value, parse, render

ROOT: dict[str, Value] = {
    "kind": "Secret",
    "metadata": {"name": "db-auth", "labels": {"tier": "back", "app": "sample"}, "owners": ["ann", "bob"]},
    "data": {
        "USER": "admin",
        "PASSWORD": 'p&<"s>',
        "tls.crt": "line 1\nline 2\n",
        "raw": b"\x00\xff",
        "b": "",
        "ä": "ö",
    },
    "stringData": {},
    "where": {
        "key": "USER",
        "many": ["a", "b", "c"],
        "lines": [{"x": "1"}, {"x": "2"}],
        "range": "not a keyword here",
        "_1": "low",
    },
}

AGREED: list[tuple[str, bytes]] = [
    ("", b""),
    ("no action at all }} {", b"no action at all }} {"),
    ("KEY={{ .data.USER }}", b"KEY=admin"),
    ("USERNAME={{ .data.USER }}\nPASSWORD={{ .data.PASSWORD }}", b'USERNAME=admin\nPASSWORD=p&<"s>'),
    ("{{.data.USER}}{{.kind}}", b"adminSecret"),
    ("{{\n\t.kind\r\n}}", b"Secret"),
    ("{{ .data.raw }}", b"\x00\xff"),
    ("{{ .data.b }}|", b"|"),
    ("{{ .data.ä }}", "ö".encode()),
    ("täxt ✓ {{ .kind }}", "täxt ✓ Secret".encode()),
    ("{{ .where._1 }}{{ .where.range }}", b"lownot a keyword here"),
    ("{{ .metadata.labels.app }}", b"sample"),
    ("{{ $.kind }}", b"Secret"),
    ("{{ $.metadata.labels.tier }}", b"back"),
    (
        "{{ range $k, $v := .data }}{{ $k }}={{ $v }}\n{{ end }}",
        b'PASSWORD=p&<"s>\nUSER=admin\nb=\nraw=\x00\xff\ntls.crt=line 1\nline 2\n\n\xc3\xa4=\xc3\xb6\n',
    ),
    ("{{range $k, $v := .metadata.labels}}{{$k}}:{{$v}},{{end}}", b"app:sample,tier:back,"),
    ("{{range $k,$v:=.metadata.labels}}{{$k}}{{end}}", b"apptier"),
    ("{{range $k , $v  :=  .metadata.labels }}{{$k}}{{end}}", b"apptier"),
    ("{{range\n$v\n:=\n.metadata.labels}}{{$v}}{{end}}", b"sampleback"),
    ("{{range $v := .metadata.labels}}{{$v}}.{{end}}", b"sample.back."),
    ("{{range .metadata.labels}}{{.}}.{{end}}", b"sample.back."),
    ("{{range $v := .metadata.labels}}{{.}}.{{end}}", b"sample.back."),
    ("{{range $k, $v := .where.lines}}{{.x}}{{$k}}{{end}}", b"1021"),
    ("{{range.metadata.labels}}{{.}}{{end}}", b"sampleback"),
    ("{{range .metadata.owners}}{{.}} {{end}}", b"ann bob "),
    ("{{range $i, $v := .metadata.owners}}{{$i}}{{$v}} {{end}}", b"0ann 1bob "),
    ("{{range $i, $v := .metadata.owners}}{{index $.metadata.owners $i}} {{end}}", b"ann bob "),
    ("{{range .where.lines}}{{.x}}{{end}}", b"12"),
    ("{{range $line := .where.lines}}{{$line.x}}{{end}}", b"12"),
    ("{{range $i, $line := .where.lines}}{{range $line}}{{$i}}{{.}}{{end}};{{end}}", b"01;12;"),
    ("{{range .stringData}}{{.nothing}}{{end}}none", b"none"),
    ("{{range .where.lines}}{{$.kind}}{{end}}", b"SecretSecret"),
    (
        "{{range $v := .metadata.owners}}{{range $v := $.metadata.labels}}{{$v}}{{end}}{{$v}}{{end}}",
        b"samplebackannsamplebackbob",
    ),
    ("{{range $a, $a := .metadata.labels}}{{$a}}{{end}}", b"sampleback"),
    ("{{range $ := .metadata.owners}}{{$}}{{end}}{{$.kind}}", b"annbobSecret"),
    ("{{range $k, $ := .metadata.labels}}{{$k}}{{$}}{{end}}", b"appsampletierback"),
    ("{{range $1 := .metadata.owners}}{{$1}}{{end}}", b"annbob"),
    ("{{range $ä := .metadata.owners}}{{$ä}}{{end}}", b"annbob"),
    ('{{ index .data "tls.crt" }}', b"line 1\nline 2\n"),
    ("{{ index .data `tls.crt` }}", b"line 1\nline 2\n"),
    ('{{ index . "data" "USER" }}', b"admin"),
    ('{{ index $.metadata "labels" "app" }}', b"sample"),
    ("{{ index .data .where.key }}", b"admin"),
    ("{{ index .kind }}", b"Secret"),
    ('{{range index .metadata "owners"}}{{.}}{{end}}', b"annbob"),
    ('{{range $k, $v := index . "metadata" "labels"}}{{$k}}{{$v}}{{end}}', b"appsampletierback"),
    ("{{range $k, $_ := .metadata.labels}}{{index $.metadata.labels $k}}{{end}}", b"sampleback"),
    ('{{ "text" }}', b"text"),
    ('{{ "a}}b" }}{{ `c}}{{d` }}', b"a}}bc}}{{d"),
    (r'{{ "\a\b\f\n\r\t\v\\\"" }}', b'\a\b\f\n\r\t\v\\"'),
    (r'{{ "\x41\xff\101\377\u00e9\U0001F511" }}', b"A\xffA\xff" + "é🔑".encode()),
    ("{{ `two\nlines\\n` }}", b"two\nlines\\n"),
    ("{{ `a\r\nb` }}", b"a\nb"),
    ('{{""}}', b""),
    ("{{/* a comment */}}x", b"x"),
    ("a {{/* }} {{ */}} b", b"a  b"),
    ("a {{- /* both */ -}} b", b"ab"),
    ("a {{/* right\n*/ -}}\n b", b"a b"),
    ("{{/**/}}", b""),
    ("a \r\n\t{{- .kind -}}\n\n b", b"aSecretb"),
    ("a {{- .kind }} b", b"aSecret b"),
    ("a {{ .kind -}} b", b"a Secretb"),
    ("a {{-\n.kind\n-}} b", b"aSecretb"),
    ("a {{ .kind    -}} b", b"a Secretb"),
    ("{{ .kind -}} {{- .kind }}", b"SecretSecret"),
    ("a\u00a0{{- .kind }}", b"a\xc2\xa0Secret"),
    ("{{range .metadata.owners -}} {{.}} {{- end}}.", b"annbob."),
    ("{{range .metadata.owners}}\n{{- .}}\n{{end -}}\n.", b"ann\nbob\n."),
    ("a {{ .kind -}}", b"a Secret"),
    ("{ {{ .kind }} }", b"{ Secret }"),
    ("{{ .kind }}}", b"Secret}"),
    ("}}{{ .kind }}", b"}}Secret"),
]

REFUSED_AS_BY_GO: list[tuple[str, str]] = [
    ("{{ .data.NOPE }}", r"no entry NOPE of \.data\.NOPE"),
    ("{{ .nope.x }}", r"no entry nope of \.nope\.x"),
    ("{{ $.data.NOPE }}", "no entry NOPE"),
    ("{{range $v := .where.lines}}{{$v.y}}{{end}}", r"no entry y of \$v\.y"),
    ("{{range .metadata.owners}}{{.data}}{{end}}", "data of .data can't be looked up"),
    ("{{range .nope}}{{end}}", "no entry nope"),
    ("{{ .kind.x }}", r"x of \.kind\.x can't be looked up"),
    ("{{ .data.tls.crt }}", "no entry tls"),
    ("{{ .metadata.owners.x }}", "can't be looked up"),
    ("{{range .kind}}{{end}}", "range takes a mapping or a list"),
    ("{{range .data.raw}}{{end}}", "range takes a mapping or a list"),
    ('{{range "abc"}}{{end}}', "range takes a mapping or a list"),
    ('{{index .metadata.owners "ann"}}', "'ann' can't be looked up"),
    ('{{index .kind "x"}}', "'x' can't be looked up"),
    ("{{range $i, $v := .metadata.owners}}{{index $.data $i}}{{end}}", r"\$i can't be looked up"),
    ("{{range $i, $v := .where.lines}}{{index $v $i}}{{end}}", r"\$i can't be looked up"),
    (
        "{{range $i, $v := .where.lines}}{{range $j, $w := $.data}}{{index $.metadata.owners $j}}{{end}}{{end}}",
        r"\$j can't",
    ),
    ("{{range $i, $v := .data}}{{range $j, $w := $.metadata.owners}}{{$w.x}}{{end}}{{end}}", r"x of \$w\.x can't"),
    ("{{range $i, $v := .where.many}}{{index $.metadata.owners $i}}{{end}}", r"no entry \$i"),
    ("{{index .data .metadata}}", "where text is wanted"),
    ("{{ .kind .kind }}", "a value with an argument"),
    ('{{ "a" "b" }}', "a value with an argument"),
    ("{{ $x }}", r"\$x before it is defined"),
    ("{{range $k, $v := .data}}{{end}}{{$v}}", r"\$v before it is defined"),
    ("{{range $v := $v}}{{end}}", r"\$v before it is defined"),
    ("{{ .kind", "does not end with }}"),
    ("text {{", "does not end with }}"),
    ("{{ .kind }", "something that Go does not know"),
    ("a\nb {{ .kind\n", "does not end with }} in line 2"),
    ("{{}}", "without a value"),
    ("{{ -}}", "without a value"),
    ("{{- }}", "without a value"),
    ("{{-.kind}}", "something that Go does not know"),
    ("{{ .kind-}}", "something that Go does not know"),
    ("{{range}}{{end}}", "without a value"),
    ("{{range .data}}", "a range without an end in line 1"),
    ("{{range .data}}\n{{range .data}}{{end}}", "a range without an end in line 1"),
    ("{{end}}", "an end without a range"),
    ("{{range .data}}{{end .data}}", "the word end in an odd place"),
    ("{{range $k, := .data}}{{end}}", "no one or two variables"),
    ("{{range $a, $b, $c := .data}}{{end}}", "no one or two variables"),
    ("{{range .k := .data}}{{end}}", "no one or two variables"),
    ("{{range $k $v := .data}}{{end}}", "no one or two variables"),
    ("{{range := .data}}{{end}}", "no one or two variables"),
    ("{{range $v := }}{{end}}", "without a value"),
    ("{{range$v := .data}}{{end}}", "something that Go does not know"),
    ('{{index .data"USER"}}', "something that Go does not know"),
    ('{{"a""b"}}', "without space between"),
    ('{{"a".x}}', "without space between"),
    ("{{index}}", "without a value"),
    ('{{ "open }}', "something that Go does not know"),
    ('{{ "two\nlines" }}', "something that Go does not know"),
    ("{{ `open }}", "something that Go does not know"),
    (r'{{ "\q" }}', "an escape that Go does not know"),
    (r'{{ "\x4" }}', "an escape that Go does not know"),
    (r'{{ "\400" }}', "an escape that Go does not know"),
    (r'{{ "\ud800" }}', "an escape that Go does not know"),
    (r'{{ "\U00110000" }}', "an escape that Go does not know"),
    (r"""{{ "\'" }}""", "an escape that Go does not know"),
    ("{{ /* spaced */ }}", "something that Go does not know"),
    ("{{/* open }}", "a comment that does not end"),
    ("{{/* a */ b */}}", "a comment that does not end"),
    ("{{/* a */  -}}", "a comment that does not end"),
    ("{{ ..data }}", "without space between"),
    ("{{ .data. }}", "without space between"),
    ("{{ .data.1 }}", "a number"),
    ("{{ .data² }}", "something that Go does not know"),
    ("{{ .da-ta }}", "something that Go does not know"),
    ("{{ $k, $v := .data }}", "has an assignment"),
    ("{{ nosuch .data }}", "the word nosuch"),
    ("{{ else }}", "the word else"),
    ("{{ break }}", "the word break"),
]

REFUSED_THOUGH_GO_TAKES_IT: list[tuple[str, str]] = [
    ("{{ if .data }}{{ end }}", "has the word if in line 1"),
    ("a\n\n{{ if .data }}b{{ else }}c{{ end }}", "has the word if in line 3"),
    ("{{ range .data }}{{ else }}{{ end }}", "has the word else"),
    ("{{ with .data }}{{ .USER }}{{ end }}", "has the word with"),
    ('{{ define "x" }}{{ end }}', "has the word define"),
    ('{{ block "x" . }}{{ end }}', "has the word block"),
    ("{{ range .data }}{{ break }}{{ end }}", "has the word break"),
    ("{{ range .data }}{{ continue }}{{ end }}", "has the word continue"),
    ("{{ .kind | html }}", "has a pipe"),
    ("{{ (.kind) }}", "has parentheses"),
    ("{{ (index .data `USER`) }}", "has parentheses"),
    ('{{ printf "%s" .kind }}', "has the word printf"),
    ("{{ len .data }}", "has the word len"),
    ("{{ html .kind }}", "has the word html"),
    ("{{ $x := .kind }}{{ $x }}", "has an assignment"),
    ("{{ range $x := .metadata.owners }}{{ $x = `a` }}{{ end }}", "has an assignment"),
    ("{{ range $v := .data }}{{ range $v = $.data }}{{ end }}{{ end }}", "has an assignment"),
    ("{{ 1 }}", "has a number"),
    ("{{ -1.5 }}", "has a number"),
    ("{{ index .metadata.owners 0 }}", "has a number"),
    ("{{ 'a' }}", "has a character constant"),
    ("{{ true }}", "has the word true"),
    ("{{ .data }}", "a mapping or a list stands where text is wanted"),
    ("{{ . }}", "a mapping or a list stands"),
    ("{{ range . }}{{ . }}{{ end }}", "a mapping or a list stands"),
    ("{{ .metadata.owners }}", "a mapping or a list stands"),
    ('{{ index .data "NOPE" }}', "there is no entry 'NOPE'"),
    ("{{ range $k, $v := .data }}{{ index $.metadata.labels $k }}{{ end }}", r"there is no entry \$k"),
    ('{{ range index .data "NOPE" }}{{ end }}', "there is no entry 'NOPE'"),
    ("{{ range $i, $v := .metadata.owners }}{{ index $.kind $i }}{{ end }}", r"\$i can't be looked up"),
    ("{{ range $i, $v := .metadata.owners }}{{ range $i }}{{ end }}{{ end }}", "range takes a mapping or a list"),
    ("{{ range .stringData }}" * 51 + "{{ end }}" * 51, "more than 50 ranges"),
]


@pytest.mark.parametrize(("template", "expected"), AGREED)
def test_renders_as_go_does(template: str, expected: bytes) -> None:
    assert render(template, ROOT) == expected


@pytest.mark.parametrize(("template", "message"), REFUSED_AS_BY_GO + REFUSED_THOUGH_GO_TAKES_IT)
def test_is_refused(template: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        render(template, ROOT)
    assert "\n" not in caught.value.message
    assert "{{ range $k, $v := .data }}" in caught.value.hint


@pytest.mark.parametrize(
    "template",
    [
        "{{ .data.PASSWORD.x }}",
        "{{ range .data.PASSWORD }}{{ end }}",
        "{{ index .data .data.PASSWORD }}",
        "{{ index .data.PASSWORD .data.PASSWORD }}",
        "{{ range $k, $v := .data }}{{ $v.x }}{{ end }}",
        "{{ range $k, $v := .data }}{{ index $.data $v }}{{ end }}",
        "{{ range $k, $v := .data }}{{ range $v }}{{ end }}{{ end }}",
    ],
)
def test_no_message_holds_a_value(template: str) -> None:
    with pytest.raises(UsageError, match="does not fit") as caught:
        render(template, {"data": {"PASSWORD": "hunter2"}})
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_what_can_not_be_parsed_is_found_before_anything_is_looked_up() -> None:
    with pytest.raises(UsageError, match="has the word if in line 2"):
        parse("{{ .nowhere }}\n{{ if .x }}")


def test_one_template_renders_several_roots() -> None:
    template = parse("{{ range $k, $v := .data }}{{ $k }}={{ $v }};{{ end }}")
    assert template.render({"data": {"b": "2", "a": b"\xfe"}}) == b"a=\xfe;b=2;"
    assert template.render({"data": {}}) == b""


def test_bytes_of_an_argument_that_are_no_text_come_out_as_they_are() -> None:
    template = b"\xff{{ `\xfe` }}".decode("utf-8", "surrogateescape")
    assert render(template, {}) == b"\xff\xfe"
