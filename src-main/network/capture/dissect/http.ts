/** The first line of HTTP/1 requests and responses (RFC 9112, 3 and 4). */
import { asText, type Dissection } from './dissection.ts'

const REQUEST = /^(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) (\S+) (HTTP\/1\.[01])$/
const RESPONSE = /^(HTTP\/1\.[01]) (\d{3})(?: (.*))?$/
const MAX_LINE = 2000
/** Header fields that are worth a line of their own. */
const SHOWN = /^(host|user-agent|content-type|content-length|location|server|transfer-encoding)\s*:\s*(.*)$/i
const MAX_HEADERS = 64

/** @returns whether it is that */
export function dissectHttp(found: Dissection, payload: Uint8Array, at: number): boolean {
  const first = payload[0]!
  // Methods begin with a capital, answers with an H.
  if (first < 0x41 || first > 0x5a) return false
  const end = payload.subarray(0, MAX_LINE).indexOf(13)
  if (end < 0) return false
  const line = asText(payload, 0, end)
  const request = REQUEST.exec(line)
  const response = request ? null : RESPONSE.exec(line)
  if (!request && !response) return false
  const fields: [string, string][] = request
    ? [
        ['Method', request[1]!],
        ['Target', request[2]!],
        ['Version', request[3]!],
      ]
    : [
        ['Version', response![1]!],
        ['Status', `${response![2]} ${response![3] ?? ''}`.trim()],
      ]
  const headers = asText(payload.subarray(end + 2, end + 2 + 8 * MAX_LINE).map((byte) => (byte === 13 || byte === 10 ? 0x1f : byte)))
  for (const header of headers.split('··').slice(0, MAX_HEADERS)) {
    if (header === '') break
    const [, name, value] = SHOWN.exec(header) ?? []
    if (name !== undefined) fields.push([name, value!])
  }
  found.layer('HTTP', at, payload.length, fields)
  found.say(line)
  return true
}
