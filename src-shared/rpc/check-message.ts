import type { WireMessage } from './wire.ts'

type Check = (message: Record<string, unknown>) => boolean

const request: Check = ({ service, method }) => typeof service === 'string' && typeof method === 'string'
const bare: Check = () => true
const error = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return false
  const { code, message, details } = value as Record<string, unknown>
  const plain = details === undefined || (typeof details === 'object' && details !== null)
  return typeof code === 'string' && typeof message === 'string' && plain
}

const CHECKS: Record<WireMessage['t'], Check> = {
  call: request,
  abort: bare,
  subscribe: request,
  unsubscribe: bare,
  open: request,
  ok: bare,
  error: (message) => error(message['error']),
  event: bare,
  data: ({ data }) => data instanceof Uint8Array,
  credit: ({ bytes }) => Number.isSafeInteger(bytes),
  end: bare,
  close: (message) => message['error'] === undefined || error(message['error']),
}

/** Whether something that came from outside is a message, every field of its kind; what calls carry is checked by their schemas. */
export function isWireMessage(value: unknown): value is WireMessage {
  if (typeof value !== 'object' || value === null) return false
  const message = value as Record<string, unknown>
  const { t, id } = message
  return typeof t === 'string' && Object.hasOwn(CHECKS, t) && Number.isSafeInteger(id) && CHECKS[t as WireMessage['t']](message)
}
