#!/bin/sh
# Clones a repository of sealed manifests, rotates what is old, and opens a merge request. Safe to run again, and to run
# as several pods of an Indexed Job: each takes its shard, and all of a run put their commits on one branch.
#
#   GIT_URL      https://…, or a path                   GIT_TOKEN  may push, and on GitHub open pull requests
#   FORGE        gitlab or github; empty only pushes    RUN        names the branch: ksecret/RUN
#   TARGET       branch to merge into (main)            OLDER_THAN 90d
#   FOLDER       what to rotate in it (.)               SHARDS     completions of the Job (1)
#   REWRAP       1: the same data keys, wrapped by each KEK's current version
#   KSECRET_SERVER, KSECRET_TOKEN_FILE, …               as for every ksecret
set -eu
target=${TARGET:-main} shards=${SHARDS:-1} shard=${JOB_COMPLETION_INDEX:-0}
branch=ksecret/${RUN:?names the branch}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The token is asked for by git and never stands among the arguments of a process.
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=4
# shellcheck disable=SC2016 # git's own shell expands it
export GIT_CONFIG_KEY_0=credential.helper GIT_CONFIG_VALUE_0='!f() { echo username=oauth2; echo "password=$GIT_TOKEN"; }; f'
export GIT_CONFIG_KEY_1=user.name GIT_CONFIG_VALUE_1="${GIT_NAME:-ksecret}"
export GIT_CONFIG_KEY_2=user.email GIT_CONFIG_VALUE_2="${GIT_EMAIL:-ksecret@localhost}"
export GIT_CONFIG_KEY_3=advice.detachedHead GIT_CONFIG_VALUE_3=false

# On a branch of this run that is there already, what another pod or an earlier try did is young, and left alone.
git clone --quiet --depth 1 --branch="$branch" -- "${GIT_URL:?}" "$work/clone" 2>/dev/null ||
  git clone --quiet --depth 1 --branch="$target" -- "$GIT_URL" "$work/clone"
cd "$work/clone"

code=0
if [ "${REWRAP:-}" = 1 ]; then
  title="Rewrap data keys of sealed Secrets"
  set -- --rewrap
else
  title="Rotate data keys of sealed Secrets"
  set -- "--older-than=${OLDER_THAN:-90d}"
fi
ksecret rotate -r "$@" --shard "$shard/$shards" --report "$work/report.jsonl" -- "${FOLDER:-.}" || code=$?
cat "$work/report.jsonl" 2>/dev/null || exit "$code" # it stopped before the first file

if git diff --quiet; then
  echo "nothing to commit in shard $shard of $shards"
  exit "$code"
fi
git commit --quiet --all --message "$title, shard $shard of $shards"

case ${FORGE:-} in
  gitlab) set -- -o merge_request.create -o merge_request.target="$target" -o merge_request.title="$title" \
      -o merge_request.remove_source_branch ;;
  *) set -- ;;
esac
tries=0
until git push --quiet "$@" origin "HEAD:refs/heads/$branch"; do
  tries=$((tries + 1))
  [ "$tries" -lt 20 ] || { echo "the branch can't be pushed" >&2; exit 1; }
  sleep $((shard % 7 + 1))
  # Another pod was first. Shards share no file, so putting this one commit on top can't conflict.
  if git fetch --quiet --depth 1 origin "refs/heads/$branch" 2>/dev/null; then
    git rebase --quiet --onto FETCH_HEAD HEAD~1
  fi
done

if [ "${FORGE:-}" = github ]; then
  repository=${GIT_URL#*://*/}
  body="{\"title\": \"$title\", \"head\": \"$branch\", \"base\": \"$target\"}"
  answer=$(printf 'Authorization: Bearer %s\n' "$GIT_TOKEN" | curl --silent --show-error --max-time 60 --header @- \
    --header 'Accept: application/vnd.github+json' --data "$body" --output /dev/null --write-out '%{http_code}' \
    "${GITHUB_API_URL:-https://api.github.com}/repos/${repository%.git}/pulls")
  case $answer in
    201 | 422) ;; # made; or there by another pod
    *) echo "the pull request could not be opened: HTTP $answer" >&2; exit 1 ;;
  esac
fi
exit "$code"
