#!/bin/bash
# tools/ask.sh HEARTH PORT: asks the server on 127.0.0.1:PORT one question and shows the answer as it comes, with its
# speed. HEARTH is the program; it tells the API key that is configured here, which is shown to nobody.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
hearth=$1 port=$2

# The header with the API key, if there is one; curl reads it from a file, because arguments show in ps.
key_header() {
  local key
  key=$("$hearth" config get server.api_key)
  [[ -z $key ]] || printf 'Authorization: Bearer %s\n' "$key"
}

question="In one sentence: why is the sky blue?"
printf '\n> %s\n' "$question"
asked_at=$(date +%s.%N)
url=http://127.0.0.1:$port/v1/chat/completions
curl -sN "$url" -H 'Content-Type: application/json' -H @<(key_header) -d @- <<JSON |
{"model": "smollm2", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 64, "temperature": 0,
 "messages": [{"role": "user", "content": "$question"}]}
JSON
  python3 "$here/show_stream.py" "$asked_at"
