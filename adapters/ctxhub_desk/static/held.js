// What this agent holds; its leases are renewed as long as the page is open.
import { get, now, post } from "./api.js";
import { state } from "./state.js";

const LONGEST = 240_000;
const SHORTEST = 2000;
const AGAIN = 5000;

/** Note whether a handoff is held. */
export function hold(handoff) {
  const renewAt = renewalOf(handoff.lease_ends);
  if (handoff.mine) state.held.set(handoff.handoff_id, { card: handoff, fence: handoff.fence, renewAt });
  else state.held.delete(handoff.handoff_id);
}

/** Look for what was held before a reload. */
export async function findHeld() {
  const { held } = await get("held");
  held.forEach(hold);
}

/** Renew every lease that is due; `lost(handoffId)` is told of each that is held no more. */
export async function renewDue(lost) {
  const due = [...state.held].filter(([, { renewAt }]) => Date.now() >= renewAt);
  for (const [handoffId, held] of due) {
    held.renewAt = Date.now() + AGAIN;
    await renew(handoffId, held, lost);
  }
}

async function renew(handoffId, held, lost) {
  try {
    const { lease_ends } = await post(`handoffs/${encodeURIComponent(handoffId)}/renew`, { fence: held.fence });
    held.renewAt = renewalOf(lease_ends);
  } catch (problem) {
    if (problem.status !== 409 && problem.status !== 404) return;
    state.held.delete(handoffId);
    lost(handoffId);
  }
}

/** Early enough that a failed try or two do no harm; never where it lives as long as its call. */
function renewalOf(leaseEnds) {
  if (leaseEnds === null) return Infinity;
  const left = (Date.parse(leaseEnds ?? 0) - now()) / 3;
  return Date.now() + Math.min(LONGEST, Math.max(SHORTEST, left));
}
