/** The end of a QEMU as people read it. Pure. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { StopReason } from '../../../../src-shared/threads/engine-thread.ts'
import { lastReason } from './message-tail.ts'
import type { ProcessEnd } from './qemu-process.ts'
import { vmnetRefusal } from './vmnet-refusal.ts'

/** ShutdownCause (qapi/run-state.json), from the event SHUTDOWN; null where none came. */
export type ShutdownCause = string | null

/** Why a machine is not running any more. `error` null: it is off as wished. */
export function judgeEnd(end: ProcessEnd, cause: ShutdownCause, asked: boolean): { reason: StopReason; error: AppError | null } {
  if (asked) return { reason: 'powered-off', error: null }
  const clean = end.known ? end.code === 0 : cause !== null
  if (clean && cause === 'guest-panic')
    return {
      reason: 'trap',
      error: new AppError('crashed', 'The guest’s kernel panicked, and the machine was switched off. Start it again.'),
    }
  if (clean && cause?.startsWith('guest-')) return { reason: 'guest-poweroff', error: null }
  // By a tool on QEMU's second control socket.
  if (clean && (cause === 'host-qmp-quit' || cause === 'host-ui')) return { reason: 'powered-off', error: null }
  if (clean && cause === 'host-signal')
    return { reason: 'trap', error: died('was ended by another program or by the computer’s shutdown', end) }
  return { reason: 'trap', error: died(how(end), end) }
}

/** QEMU ended before its machine could be used. */
export function didNotStart(end: ProcessEnd): AppError {
  const why = lastReason(end.messages)
  const refused = why && vmnetRefusal(why, technical(end))
  if (refused) return refused
  return new AppError(
    'unavailable',
    why ? `QEMU did not start the machine: ${sentence(why)}` : `QEMU did not start the machine: it ${how(end)}.`,
    {
      technical: technical(end),
    },
  )
}

function died(what: string, end: ProcessEnd): AppError {
  const why = lastReason(end.messages)
  return new AppError(
    'crashed',
    `QEMU ${what} while it ran this machine${why ? `: ${sentence(why)}` : '.'} The machine’s disks are as the guest last wrote them. Start it again.`,
    { technical: technical(end) },
  )
}

function how({ code, signal, known }: ProcessEnd): string {
  if (!known) return 'ended unexpectedly'
  if (signal === 'SIGKILL') return 'was killed (by another program, or because the computer ran out of memory)'
  if (signal) return `was ended by the signal ${signal}`
  return `ended by itself (exit status ${code})`
}

function technical({ code, signal, known, messages }: ProcessEnd): string {
  const status = known ? `exit status ${code ?? '-'}, signal ${signal ?? '-'}` : 'exit status unknown: another host started it'
  return messages === '' ? status : `${status}\n${messages.trimEnd()}`
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
