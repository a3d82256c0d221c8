/** What the host asks of the agent in a guest: its addresses, and to run a program. */
import { isIPv4 } from 'node:net'
import type { GuestAddresses } from '../../../src-shared/api/machines.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { GuestCommand } from '../../../src-shared/model/guest-command.ts'
import { STATE_WORDS } from '../../../src-shared/model/machine-state.ts'
import { pipe, type ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { GuestInterface } from '../../../src-shared/threads/engine-thread.ts'
import { joinStreams } from './machine-console.ts'
import type { Machine } from './machine.ts'
import type { Session } from './session.ts'

/**
 * Asks the guest; the machine's view has the answer, too.
 * @throws AppError `wrong-state` where it does not run, `unavailable` where no agent answers
 */
export async function askAddresses(machine: Machine): Promise<GuestAddresses[]> {
  const session = runningSession(machine)
  const found = await session.race(session.engine.guestInterfaces({ machine: session.machine }))
  const addresses = guestAddresses(found, machine.bundle.config?.nics ?? [])
  // Asked again and again while somebody looks: most answers bring nothing new.
  if (JSON.stringify(addresses) !== JSON.stringify(machine.status.addresses)) machine.setStatus({ addresses })
  return addresses
}

/**
 * @param stream the caller's: standard input there, exec frames back; it ends with the program, or with an error
 * @throws AppError as askAddresses
 */
export async function openExec(machine: Machine, command: GuestCommand, stream: ByteStream): Promise<void> {
  const session = runningSession(machine)
  const { stream: engine } = await session.race(session.engine.exec({ machine: session.machine, command }))
  void joinStreams(engine, stream, session, 'Running a program in the guest', pipe)
}

/** What is worth showing of what a guest tells: the machine's cards first and in their order, then the guest's own interfaces. Pure. */
export function guestAddresses(interfaces: readonly GuestInterface[], nics: readonly { id: string; mac: string }[]): GuestAddresses[] {
  const place = (nic: string | null): number => (nic === null ? nics.length : nics.findIndex(({ id }) => id === nic))
  return interfaces
    .map(({ name, mac, addresses }) => ({
      nic: nics.find((nic) => nic.mac.toLowerCase() === mac)?.id ?? null,
      name,
      mac,
      addresses: [...addresses.filter(isIPv4), ...addresses.filter((address) => !isIPv4(address))].filter(reachesFurther),
    }))
    .filter(({ addresses }) => addresses.length > 0)
    .sort((a, b) => place(a.nic) - place(b.nic))
}

/** Neither loopback (RFC 1122, 4291) nor link-local (RFC 3927, 4291): nobody outside of the guest can use those as they stand. */
function reachesFurther(address: string): boolean {
  return !/^(127\.|169\.254\.|::1$|fe[89ab])/i.test(address)
}

function runningSession({ session, bundle, state }: Machine): Session {
  if (session && !session.end && (state === 'running' || state === 'stopping')) return session
  const now = STATE_WORDS[state].toLowerCase()
  throw new AppError(
    'wrong-state',
    `“${bundle.name}” is ${now}: no agent in it can be asked. ${state === 'paused' ? 'Resume' : 'Start'} it first.`,
    {
      subject: bundle.name,
    },
  )
}
