#!/bin/sh
# Clones a repository of sealed manifests, rotates what is old, and sees to it that a request to merge that is open. What
# there is to do is decided from what is on the server, so it is safe to run again after a failure at any step, and to run
# as several pods of an Indexed Job: each takes its shard, and all put their commits on one branch.
#
#   GIT_URL      https://HOST/…/NAME.git, or a path     GIT_TOKEN  goes to that host (and FORGE_API) only: docs/rotation.md
#   FORGE        gitlab, github or gitea (Forgejo too); empty only pushes
#   TARGET       branch to merge into (main)            BRANCH     branch that is merged (ksecret/rotate, or ksecret/rewrap)
#   OLDER_THAN   90d                                    FOLDER     what to rotate in it (.)
#   REWRAP       1: the same data keys, wrapped by each KEK's current version
#   SHARDS       completions of the Job (1)             FORGE_API  where the forge's API is, if not at its usual place
#   KSECRET_SERVER, KSECRET_TOKEN_FILE, …               as for every ksecret
set -eu
say() { echo "rotate.sh: $1" >&2; }
fail() { say "$1"; exit 1; }

target=${TARGET:-main} shards=${SHARDS:-1} shard=${JOB_COMPLETION_INDEX:-0} email=${GIT_EMAIL:-ksecret@localhost}
if [ "${REWRAP:-}" = 1 ]; then
  branch=${BRANCH:-ksecret/rewrap} title="Rewrap data keys of sealed Secrets"
else
  branch=${BRANCH:-ksecret/rotate} title="Rotate data keys of sealed Secrets"
fi
case $branch$target in
  *[!A-Za-z0-9._/-]*) fail "BRANCH and TARGET: letters, digits and . _ / - only" ;;
esac

: "${GIT_URL:?}"
host='' repository=''
case $GIT_URL in
  https://*)
    host=${GIT_URL#https://} repository=${GIT_URL#https://*/} host=${host%%/*}
    repository=${repository%/} repository=${repository%.git} ;;
esac
case $host in *@*) fail "GIT_URL names a user; the token belongs into GIT_TOKEN" ;; esac
case ${FORGE:-} in
  gitlab) api=${FORGE_API:-https://$host/api/v4} ;;
  github) [ "$host" = github.com ] && api=${FORGE_API:-https://api.github.com} || api=${FORGE_API:-https://$host/api/v3} ;;
  gitea) api=${FORGE_API:-https://$host/api/v1} ;;
  '') ;;
  *) fail "FORGE is gitlab, github, gitea or empty" ;;
esac
[ -z "${FORGE:-}" ] || [ -n "$host" ] || fail "a forge has a GIT_URL that begins with https://"

# A shell waits for a program in the foreground before it heeds a signal; for one in the background it does not.
work=$(mktemp -d) child=''
run() {
  "$@" &
  finish $!
}
finish() {
  child=$1 left=0
  wait "$child" || left=$?
  child=''
  return "$left"
}
# shellcheck disable=SC2329 # the traps call it
stop() {
  [ -z "$child" ] || kill "$child" 2>/dev/null || :
  wait
  exit "$1"
}
trap 'cd /; rm -rf "$work"' EXIT
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

# Git asks for the token, for one host, and follows no redirect to another. It never stands among a process's arguments.
count=0
configure() {
  export "GIT_CONFIG_KEY_$count=$1" "GIT_CONFIG_VALUE_$count=$2"
  count=$((count + 1))
  export GIT_CONFIG_COUNT="$count" GIT_TERMINAL_PROMPT=0
}
configure credential.helper '' # forgets those of the machine
# shellcheck disable=SC2016 # git's own shell expands it
[ -z "$host" ] || configure "credential.https://$host.helper" '!f() { echo username=oauth2; echo "password=$GIT_TOKEN"; }; f'
configure http.followRedirects false
configure user.name "${GIT_NAME:-ksecret}"
configure user.email "$email"
configure advice.detachedHead false
# A sealed file is one whole: where two branches changed it, its lines are no parts that could be put together.
configure merge.default binary
configure merge.ksecret.driver false

tip() { # what the branch is at on the server; empty where there is none
  run git ls-remote origin "refs/heads/$branch" >"$work/tip"
  read -r tip _ <"$work/tip" || tip=''
}
fetch() {
  run git fetch --quiet --no-tags origin "+refs/heads/$branch:refs/remotes/origin/$branch"
  seen=$(git rev-parse "origin/$branch")
}
push() { # only onto what was seen there
  run git push --quiet --force-with-lease="refs/heads/$branch:$seen" origin "$1:refs/heads/$branch"
}

# A branch that waits to be merged is gone on with, together with what TARGET got meanwhile. One that says nothing new (it
# was squashed, say), or whose files TARGET changed too, makes room for a new one.
go_on() {
  git checkout --quiet --detach "origin/$branch"
  merged=0
  run git merge --quiet --no-edit "origin/$target" >"$work/merge" || merged=$?
  case $merged in
    0) git diff --quiet "origin/$target" HEAD || waits=yes ;;
    1) # a conflict
      git merge --abort
      ! git log --no-merges --format=%ce "origin/$target..origin/$branch" | grep -vqxF "$email" ||
        fail "$branch has commits of others and conflicts with $target: merge or delete it"
      say "$target changed what $branch changes: it is begun anew" ;;
    *) fail "$target can't be merged into $branch" ;;
  esac
  [ -n "$waits" ] || git checkout --quiet --detach "origin/$target"
}

run git clone --quiet --single-branch --no-tags --filter=blob:none --branch="$target" -- "$GIT_URL" "$work/clone"
cd "$work/clone"
waits='' seen=''
tip
if [ -n "$tip" ]; then
  fetch
  go_on
fi

code=0
if [ "${REWRAP:-}" = 1 ]; then set -- --rewrap; else set -- "--older-than=${OLDER_THAN:-90d}"; fi
run env -u GIT_TOKEN ksecret rotate -r "$@" --shard "$shard/$shards" --report "$work/report.jsonl" -- "${FOLDER:-.}" ||
  code=$?
cat "$work/report.jsonl" 2>/dev/null || exit "$code" # it stopped before the first file

if git diff --quiet; then
  echo "nothing to commit in shard $shard of $shards"
  if [ -n "$seen" ] && [ -z "$waits" ] && [ "$code" = 0 ]; then
    push '' || : # TARGET has all of it, so it goes, and a request with it; unless another pod has begun it anew
  fi
else
  git commit --quiet --all --message "$title, shard $shard of $shards"
  waits=yes tries=0 failed=0
  until push HEAD; do
    tries=$((tries + 1))
    tip
    [ "$tip" != "$(git rev-parse HEAD)" ] || break # it was taken, and the answer got lost
    [ "$tip" != "$seen" ] || failed=$((failed + 1))
    # Each other pod is first once, and again where it was tried again; what does not get on does not get tried for ever.
    [ "$tries" -lt $((20 + 3 * shards)) ] && [ "$failed" -lt 3 ] || fail "$branch can't be pushed"
    run sleep $((shard % 7 + 1))
    # Another pod was first. Shards share no file, so putting this one commit on top can't conflict.
    if [ -z "$tip" ]; then
      seen=''
    elif [ "$tip" != "$seen" ]; then
      fetch
      mine=$(git rev-parse HEAD)
      git checkout --quiet --detach "origin/$branch"
      git merge --quiet --no-edit "origin/$target" # which that one may not have seen as it is here
      git cherry-pick "$mine" >"$work/pick"
    fi
  done
fi

ask() { # METHOD PATH [BODY]: $status, and what was answered in $work/answer. No redirect is followed.
  printf 'Authorization: Bearer %s\n' "${GIT_TOKEN:-}" |
    curl -q --silent --show-error --proto =https --max-time 60 --retry 2 --request "$1" --header @- \
      --header 'Accept: application/json' ${3:+--header 'Content-Type: application/json' --data "$3"} \
      --output "$work/answer" --write-out '%{http_code}' "$api/$2" >"$work/status" &
  finish $! || :
  status=$(cat "$work/status")
}
status=''
requested() { # whether a request to merge it is open; Gitea's answer to making one tells
  case $FORGE in
    gitlab) ask GET "$requests?state=opened&source_branch=$branch&target_branch=$target" ;;
    github) ask GET "$requests?state=open&head=${repository%%/*}:$branch&base=$target" ;;
    gitea) [ "$status" = 409 ] && return || return 1 ;;
  esac
  [ "$status" = 200 ] || fail "whether a request to merge $branch is open could not be seen: HTTP $status"
  case $(tr -d '[:space:]' <"$work/answer") in '[{'*) ;; *) return 1 ;; esac
}
request() {
  case $FORGE in
    gitlab)
      requests=projects/$(printf %s "$repository" | sed 's,/,%2F,g')/merge_requests
      body="\"source_branch\": \"$branch\", \"target_branch\": \"$target\", \"remove_source_branch\": true" ;;
    *)
      requests=repos/$repository/pulls
      body="\"head\": \"$branch\", \"base\": \"$target\"" ;;
  esac
  ! requested || return 0
  ask POST "$requests" "{\"title\": \"$title\", $body}"
  [ "$status" = 201 ] && return
  made=$status
  requested || fail "the request to merge $branch could not be opened: HTTP $made" # else by another pod
}
[ -z "$waits" ] || [ -z "${FORGE:-}" ] || request
exit "$code"
