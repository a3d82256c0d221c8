/**
 * QEMU's guest agent protocol: requests as one line of JSON each, and the replies to those that we use, checked. What a guest says is not to be
 * trusted: every list and text has a limit, and what does not fit is an error. Source: QEMU docs/interop/qemu-ga-ref (qga/qapi-schema.json).
 */
import { z } from 'zod'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'

const shortText = z.string().max(256)
/** Base64 of 16 MiB, the most that qemu-guest-agent keeps. What is no base64 in it decodes to nothing. */
const outputText = z.string().max(24 * MiB)

/** `guest-…` command to the shape of what it returns. */
export const REPLIES = {
  'guest-ping': z.object({}),
  'guest-info': z.object({
    version: shortText,
    supported_commands: z.array(z.object({ name: shortText, enabled: z.boolean() })).max(1024),
  }),
  'guest-network-get-interfaces': z
    .array(
      z.object({
        name: shortText,
        'hardware-address': shortText.optional(),
        'ip-addresses': z
          .array(z.object({ 'ip-address': shortText, 'ip-address-type': z.enum(['ipv4', 'ipv6']) }))
          .max(256)
          .optional(),
      }),
    )
    .max(256),
  'guest-set-time': z.object({}),
  /** Answers only where it fails. */
  'guest-shutdown': z.object({}),
  'guest-exec': z.object({ pid: z.number().int().min(1) }),
  'guest-exec-status': z.object({
    exited: z.boolean(),
    exitcode: z.number().int().optional(),
    signal: z.number().int().optional(),
    'out-data': outputText.optional(),
    'err-data': outputText.optional(),
    'out-truncated': z.boolean().optional(),
    'err-truncated': z.boolean().optional(),
  }),
  'guest-fsfreeze-status': z.enum(['thawed', 'frozen']),
  'guest-fsfreeze-freeze': z.number().int().min(0),
  'guest-fsfreeze-thaw': z.number().int().min(0),
} satisfies Record<`guest-${string}`, z.ZodType>

export type AgentCommand = keyof typeof REPLIES
export type AgentReply<C extends AgentCommand> = z.output<(typeof REPLIES)[C]>

/**
 * Canonical: no space but in strings, UTF-8 as it is. A bigint becomes a JSON number of all its digits.
 * @returns with its line end
 */
export function encodeRequest(command: string, args: Record<string, unknown> = {}): string {
  const given = Object.entries(args).map(
    ([name, value]) => `${JSON.stringify(name)}:${typeof value === 'bigint' ? String(value) : JSON.stringify(value)}`,
  )
  return `{"execute":"${command}"${given.length > 0 ? `,"arguments":{${given.join(',')}}` : ''}}\n`
}

/** What a line of the guest is. `error` has the agent's own words. Null: nothing of the protocol. */
export function parseReply(line: string): { value: unknown } | { error: string } | null {
  let reply: unknown
  try {
    reply = JSON.parse(line)
  } catch {
    return null
  }
  const parsed = replySchema.safeParse(reply)
  if (!parsed.success) return null
  const { error } = parsed.data
  if (error) return { error: error.desc }
  return 'return' in parsed.data ? { value: parsed.data.return } : null
}

const replySchema = z.object({
  return: z.unknown().optional(),
  error: z.object({ desc: z.string().transform((text) => text.slice(0, 500)) }).optional(),
})

/** @throws AppError `corrupt` where the guest answered with something else */
export function checkReply<C extends AgentCommand>(command: C, value: unknown): AgentReply<C> {
  const parsed = REPLIES[command].safeParse(value)
  if (parsed.success) return parsed.data as AgentReply<C>
  throw notAnAnswer(command, parsed.error.message.slice(0, 2000))
}

export function notAnAnswer(command: string, technical?: string): AppError {
  const details = technical === undefined ? {} : { technical }
  return new AppError('corrupt', `The guest’s agent answered “${command}” with something that is no answer to it.`, details)
}
