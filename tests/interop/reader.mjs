// Reads requests from stdin, one as JSON a line, and says of each what the CloudEvents SDK makes of it.
import { createInterface } from "node:readline";
import { HTTP } from "cloudevents";

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    const event = HTTP.toEvent(JSON.parse(line));
    event.validate();
    said = { event: event.toJSON() };
  } catch (fault) {
    said = { fault: String(fault.message ?? fault) };
  }
  console.log(JSON.stringify(said));
}
