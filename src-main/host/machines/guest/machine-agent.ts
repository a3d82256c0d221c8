/** What the host asks of the agent in a guest: its addresses, and to run a program. */
import { isIPv4 } from 'node:net'
import type { GuestAddresses } from '../../../../src-shared/api/machines.ts'
import { DisposableStore } from '../../../../src-shared/base/disposable.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { GuestCommand } from '../../../../src-shared/model/guest-command.ts'
import { STATE_WORDS } from '../../../../src-shared/model/machine-state.ts'
import { pipe, type ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import type { GuestInterface } from '../../../../src-shared/threads/engine-thread.ts'
import { joinStreams } from './machine-console.ts'
import type { Machine } from '../machine.ts'
import type { Session } from '../running/session.ts'

/** ms after a guest's start, and after its prompt, in which its agent may still be starting. */
const AGENT_PATIENCE = 30_000

/**
 * Asks the guest; the machine's view has the answer, too.
 * @throws AppError `wrong-state` where it does not run, `unavailable` where no agent answers
 */
export async function askAddresses(machine: Machine): Promise<GuestAddresses[]> {
  const session = runningSession(machine)
  const found = await session.race(session.engine.guestInterfaces({ machine: session.machine }))
  const addresses = guestAddresses(found, machine.bundle.config?.nics ?? [])
  // Asked again and again while somebody looks: most answers bring nothing new.
  if (JSON.stringify(addresses) !== JSON.stringify(machine.status.interfaces)) machine.setStatus({ interfaces: addresses })
  return addresses
}

/**
 * Waits for an agent in a guest that has just started.
 * @param stream the caller's: standard input there, exec frames back; it ends with the program, or with an error
 * @throws AppError as askAddresses
 */
export async function openExec(machine: Machine, command: GuestCommand, stream: ByteStream): Promise<void> {
  const session = runningSession(machine)
  await session.race(agentComes(machine, session, stream))
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

/** Resolves when one is there, or has had its time, or when the caller has gone. */
function agentComes({ status }: Machine, session: Session, stream: ByteStream): Promise<void> {
  // A boot's time is that of its prompt, which an agent may come after.
  const since = Math.max(...[status.startedAt, status.bootedAt].map((time) => (time === null ? 0 : Date.parse(time))))
  const left = since + AGENT_PATIENCE - Date.now()
  if (status.agent || left <= 0 || stream.closed) return Promise.resolve()
  return new Promise((resolve) => {
    const store = new DisposableStore()
    const go = (): void => {
      store.dispose()
      resolve()
    }
    const timer = setTimeout(go, left)
    store.defer(() => clearTimeout(timer))
    store.add(stream.onClose(go))
    store.add(session.onOver(go))
    store.add(
      session.onEvent((event) => {
        if (event.kind === 'agent' && event.present) go()
      }),
    )
  })
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
