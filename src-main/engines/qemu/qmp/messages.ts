/**
 * The messages of the QEMU Machine Protocol, as QEMU sends them (docs/interop/qmp-spec, "Protocol specification"). Pure: one line in, one message
 * out. What a message may carry beyond this is ignored, as the specification asks (section "Compatibility considerations").
 */
import { z } from 'zod'
import { AppError } from '../../../../src-shared/errors/app-error.ts'

export interface QmpGreeting {
  kind: 'greeting'
  /** "7.2.22" */
  version: string
  /** What the distributor added: "Debian 1:7.2+dfsg-7". May be empty. */
  package: string
}
export interface QmpReturn {
  kind: 'return'
  id: number
  value: unknown
}
export interface QmpError {
  kind: 'error'
  /** Null where QEMU could not even read the command's id. */
  id: number | null
  class: string
  description: string
}
export interface QmpEvent {
  kind: 'event'
  /** "SHUTDOWN" */
  name: string
  data: Readonly<Record<string, unknown>>
  /** QEMU's clock when it happened, ms since 1970; 0 where QEMU could not tell. */
  at: number
}
export type QmpMessage = QmpGreeting | QmpReturn | QmpError | QmpEvent

const greeting = z.object({
  QMP: z.object({
    version: z.object({ qemu: z.object({ major: z.number(), minor: z.number(), micro: z.number() }), package: z.string().default('') }),
  }),
})
const answer = z.object({ return: z.unknown(), id: z.number() })
const failure = z.object({
  error: z.object({ class: z.string(), desc: z.string() }),
  id: z.number().nullable().default(null),
})
const event = z.object({
  event: z.string(),
  data: z.record(z.string(), z.unknown()).default({}),
  timestamp: z.object({ seconds: z.number(), microseconds: z.number() }),
})

/** @throws AppError `corrupt` where the line is no message of the protocol */
export function parseMessage(line: string): QmpMessage {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch {
    throw notQmp(line)
  }
  if (typeof json !== 'object' || json === null) throw notQmp(line)
  if ('return' in json) {
    const { success, data } = answer.safeParse(json)
    if (success) return { kind: 'return', id: data.id, value: data.return }
  } else if ('event' in json) {
    const { success, data } = event.safeParse(json)
    if (success) return { kind: 'event', name: data.event, data: data.data, at: time(data.timestamp) }
  } else if ('error' in json) {
    const { success, data } = failure.safeParse(json)
    if (success) return { kind: 'error', id: data.id, class: data.error.class, description: data.error.desc }
  } else if ('QMP' in json) {
    const { success, data } = greeting.safeParse(json)
    if (success) {
      const { qemu, package: by } = data.QMP.version
      return { kind: 'greeting', version: `${qemu.major}.${qemu.minor}.${qemu.micro}`, package: by }
    }
  }
  throw notQmp(line)
}

/** Seconds are -1 where QEMU could not read its clock. */
function time({ seconds, microseconds }: { seconds: number; microseconds: number }): number {
  return seconds < 0 ? 0 : seconds * 1000 + Math.floor(microseconds / 1000)
}

function notQmp(line: string): AppError {
  return new AppError('corrupt', 'What answers on QEMU’s control connection does not speak its protocol.', {
    technical: line.slice(0, 500),
  })
}

/** A refused command as people read it. */
export function refusal(command: string, { class: kind, description }: QmpError): AppError {
  const code = kind === 'CommandNotFound' ? 'unsupported' : kind === 'DeviceNotFound' ? 'not-found' : 'unavailable'
  const text = /[.!?]$/.test(description) ? description : `${description}.`
  return new AppError(code, `QEMU refused “${command}”: ${text}`, { subject: command, technical: `${kind}: ${description}` })
}
