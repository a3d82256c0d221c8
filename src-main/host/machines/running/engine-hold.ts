/**
 * How a life of a machine has its engine. The embedded engine runs in a thread of its own for each machine, because a fault of it takes the
 * whole thread along: ending the thread ends the machine. QEMU machines are processes that one thread supervises for all: there the machine
 * must be ended, and outlives a thread that fails.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import { HostThread } from '../../threads/thread.ts'
import type { SessionParts } from './session.ts'

export interface EngineHold {
  readonly thread: HostThread
  /** The machine goes on running where only the thread died. */
  readonly outlives: boolean
  /** The thread's death as the machine's. */
  death(error: AppError): AppError
  /** The engine is making the machine: it cannot be ended before. */
  creating(work: Promise<unknown>): void
  /** Resolves when nothing of the machine executes any more. @param endMachine asks the engine to end it */
  end(endMachine: () => Promise<void>): Promise<void>
  /** Gives the thread back, without waiting. */
  drop(): void
}

/** @throws AppError where the thread for all cannot be had */
export function holdEngine(engine: MachineSpec['engine'], name: string, parts: SessionParts): EngineHold {
  return engine === 'qemu' ? sharedThread(name, parts) : ownThread(name, parts)
}

function ownThread(name: string, { log, engineEntry }: SessionParts): EngineHold {
  const thread = new HostThread('embedded', { log, label: `the engine of “${name}”`, ...(engineEntry ? { entry: engineEntry } : {}) })
  return {
    thread,
    outlives: false,
    death: (error) => error,
    creating: () => {},
    end: () => thread.terminate(),
    drop: () => thread.dispose(),
  }
}

function sharedThread(name: string, { qemu }: SessionParts): EngineHold {
  const lease = qemu.lease()
  let making: Promise<unknown> = Promise.resolve()
  return {
    thread: lease.thread,
    outlives: true,
    death: (error) =>
      new AppError('crashed', `What supervises “${name}” failed: ${error.message} The machine itself may still run.`, {}, error),
    creating: (work) => void (making = work.catch(() => {})),
    end: async (endMachine) => {
      await making
      if (lease.thread.deathError === null) await endMachine()
      lease.release()
    },
    drop: () => lease.release(),
  }
}
