#!/bin/sh
# A customer goes from the telephone to a chat to an agent, in plain HTTP: sh walk.sh, with the hub's key in CTXHUB_KEY.
set -eu
URL=${CTXHUB_URL:-http://127.0.0.1:8080}
CUSTOMER=${1:-c42}
RUN=$(date +%s)$$ # ids of a run of its own: the same id again would take effect once only

hub() { # hub PATH [curl options]: one call
    path=$1
    shift
    curl -sS --fail-with-body -H "Authorization: Bearer $CTXHUB_KEY" -H 'Content-Type: application/json' "$@" "$URL$path"
}
text() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }  # the first text of this name in JSON
number() { grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d : -f 2; }      # the first number

echo "1 A customer calls and proves a PIN."
CALL=$(hub /v1/interactions -d '{"channel": "ivr", "external_id": "call-'"$RUN"'", "customer_id": "'"$CUSTOMER"'",
  "assurance": {"level": 2, "method": "pin"}}' | text interaction_id)

echo "2 She says what it is about, and where she is."
hub "/v1/customers/$CUSTOMER/events" -d '{"events": [
  {"event_id": "'"$RUN"'-1", "type": "journey.started", "interaction_id": "'"$CALL"'",
   "data": {"kind": "card_blocked", "journey_id": "jr_'"$RUN"'"}},
  {"event_id": "'"$RUN"'-2", "type": "fact.stated", "interaction_id": "'"$CALL"'", "journey_id": "jr_'"$RUN"'",
   "party": "customer", "data": {"name": "country", "value": "Portugal"}}]}' >/dev/null

echo "3 She goes on in a chat, by a token."
TOKEN=$(hub /v1/handoffs -d '{"customer_id": "'"$CUSTOMER"'", "interaction_id": "'"$CALL"'",
  "journey_id": "jr_'"$RUN"'", "reason": "goes on in chat", "to": {"channel": "chat"}}' | text token)
CHAT=$(hub /v1/handoffs/redeem -d '{"channel": "chat", "external_id": "chat-'"$RUN"'", "token": "'"$TOKEN"'"}' |
  text interaction_id)

echo "4 May the chat ask for the country?"
hub "/v1/customers/$CUSTOMER/asks" -d '{"interaction_id": "'"$CHAT"'", "names": ["country"]}' | text verdict

echo "5 She wants a person; ann takes her."
OFFER=$(hub /v1/handoffs -d '{"customer_id": "'"$CUSTOMER"'", "interaction_id": "'"$CHAT"'",
  "reason": "wants a person", "to": {"queue": "cards"}}' | text handoff_id)
FENCE=$(hub "/v1/handoffs/$OFFER/accept" -d '{"agent_id": "ann"}' | number fence)

echo "6 Bob comes too late."
hub "/v1/handoffs/$OFFER/accept" -d '{"agent_id": "bob"}' 2>/dev/null | text code || true

echo "7 Ann is done."
hub "/v1/handoffs/$OFFER/complete" -d '{"agent_id": "ann", "fence": '"$FENCE"', "outcome": "resolved"}' | text state

echo "8 All of it stands on the timeline:"
hub "/v1/customers/$CUSTOMER/timeline" | grep -o '"type":"[a-z]*\.[a-z]*"' | cut -d '"' -f 4
