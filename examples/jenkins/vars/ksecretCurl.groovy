// String sealed = ksecretCurl(server: 'https://ksecret.example', operation: 'encrypt', file: 'secret.yaml')
//
// For agents without ksecret, with curl 7.76 or later: raw in, raw out. Where the service refuses, the step fails and
// the log says why. decrypt is left out on purpose: what a step returns is kept with the build, so open Secrets with
// `ksecret decrypt` inside of withKsecret, in the step that applies them.
def call(Map given) {
    if (!(given.operation in ['encrypt', 'rotate', 'verify', 'inspect'])) {
        error 'ksecretCurl does encrypt, rotate, verify and inspect'
    }
    if (!given.file || !fileExists(given.file)) { // curl would send nothing in its place
        error 'ksecretCurl needs file: a manifest in the workspace'
    }
    String answer = ''
    withKsecret(server: given.server, credentialsId: given.credentialsId) {
        withEnv(["KSECRET_OPERATION=${given.operation}", "KSECRET_FILE=${given.file}"]) {
            // The token comes by standard input: arguments can be seen by every user of the machine.
            answer = sh(returnStdout: true, script: '''
                set +x
                printf 'Authorization: Bearer %s\\n' "$KSECRET_TOKEN" |
                    curl --silent --show-error --fail-with-body --max-time 90 --header @- \\
                        ${KSECRET_SERVER_CA:+--cacert "$KSECRET_SERVER_CA"} \\
                        --header 'Content-Type: application/yaml' --data-binary "@$KSECRET_FILE" \\
                        --url "$KSECRET_SERVER/v1/$KSECRET_OPERATION"
            ''')
        }
    }
    return answer
}
