/**
 * Lets a Linux guest unmount its shared folders for as long as its memory is saved, and mount them again, through its agent (shares-script.ts):
 * ours, or qemu-guest-agent where it may run programs. What the guest prints is not to be trusted.
 */
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { KiB } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { AgentClient } from './agent-client.ts'
import { followCommand } from './follow-command.ts'
import { SHARES_SCRIPT } from './shares-script.ts'

/** ms: what a guest has cached of a share is written first. */
const LIMIT = 30_000
/** Bytes of what the script prints; it has a few lines. */
const MAX_OUTPUT = 64 * KiB
/** Processes that are named. */
const MAX_HOLDERS = 3
/** Characters of a word of the guest's that is shown. */
const MAX_SHOWN = 200

/**
 * Everything is unmounted, or, where it throws, as it was.
 * @returns false where the guest has no agent that can: no program was run
 * @throws AppError `busy` with who uses a share, `unsupported` why it cannot be unmounted, and others of the agent; what is mounted is
 *   not known then, and `mountShares` puts it right
 */
export async function unmountShares(agent: AgentClient): Promise<boolean> {
  const said = await run(agent, 'away')
  if (said === null) return false
  const problem = whyKept(said)
  if (problem) throw problem
  return true
}

/**
 * Mounts what `unmountShares` unmounted, in whatever life of the host; nothing where it is mounted, or nothing was.
 * @returns why some are not mounted, as sentences
 * @throws AppError as AgentClient.call
 */
export async function mountShares(agent: AgentClient): Promise<string[]> {
  return whyAway((await run(agent, 'back')) ?? '')
}

/** Why it was not unmounted, from what the script printed; null where it was. Pure. */
export function whyKept(output: string): AppError | null {
  const lines = output.split('\n')
  if (lines.includes('away')) return null
  const twice = words(lines, 'twice')[0]
  if (twice)
    return new AppError(
      'unsupported',
      `The guest has the shared folder “${shown(twice[0])}” mounted in several places, and Coppice cannot unmount it and mount it again so. Unmount it in the guest.`,
    )
  const kept = words(lines, 'kept')[0]
  if (!kept)
    return new AppError('unsupported', 'The guest could not unmount its shared folders, and did not say why. Unmount them in the guest.')
  const [tag, why] = [shown(kept[0]), shown(kept[1])]
  if (!/busy/i.test(why)) return new AppError('unsupported', `The guest could not unmount the shared folder “${tag}”: ${why}`)
  const holders = words(lines, 'holder').map(([pid, name]) => `${shown(name)} (process ${shown(pid)})`)
  return new AppError(
    'busy',
    `The shared folder “${tag}” is in use in the guest by ${users(holders)}. Close what is open in it, then suspend.`,
    { subject: tag },
  )
}

function users(holders: readonly string[]): string {
  if (holders.length === 0) return 'its kernel: something may be mounted in it'
  const named = holders.slice(0, MAX_HOLDERS)
  const more = holders.length - named.length
  return new Intl.ListFormat('en-GB').format(more > 0 ? [...named, `${more} more`] : named)
}

/** Sentences, one for each that could not be mounted again. Pure. */
export function whyAway(output: string): string[] {
  return words(output.split('\n'), 'failed').map(
    ([tag, why]) => `The guest could not mount the shared folder “${shown(tag)}” again: ${shown(why)}`,
  )
}

/** What follows `first` in each line that begins with it: the next word, and the rest. */
function words(lines: readonly string[], first: string): [string, string][] {
  return lines.flatMap((line) => {
    const parts = /^(\S+) (\S+) ?(.*)$/.exec(line)
    return parts?.[1] === first ? [[parts[2]!, parts[3]!] as [string, string]] : []
  })
}

/** A guest's words in one of our sentences: no control characters, no end of it. */
function shown(text: string): string {
  return text.replace(/\p{C}/gu, '').slice(0, MAX_SHOWN)
}

/** @returns what it printed; null where no agent can run programs, or the guest has no shell */
async function run(agent: AgentClient, what: 'away' | 'back'): Promise<string | null> {
  const pid = await begin(agent, what)
  if (pid === null) return null
  const parts: Uint8Array[] = []
  let size = 0
  await followCommand(agent, pid, LIMIT, {
    take: async (kind, bytes) => {
      if (kind === 'err' || size > MAX_OUTPUT) return
      parts.push(bytes)
      size += bytes.length
    },
    closed: false,
    onClose: new Emitter<void>().event,
  })
  return new TextDecoder().decode(concatBytes(parts).subarray(0, MAX_OUTPUT))
}

async function begin(agent: AgentClient, what: 'away' | 'back'): Promise<number | null> {
  try {
    const request = { path: '/bin/sh', arg: ['-c', SHARES_SCRIPT, 'coppice-shares', what], 'capture-output': true }
    return (await agent.call('guest-exec', request)).pid
  } catch (error) {
    const failure = asAppError(error)
    if (failure.code === 'unsupported' || (what === 'away' && failure.code === 'unavailable')) return null
    throw failure
  }
}
