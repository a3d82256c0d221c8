/**
 * What those who begin a life of a machine do to it: starting it (boot-machine.ts), and going on with what runs already (adopt-machine.ts). They have its turn.
 */
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import type { BundleLock } from '../../library/bundle-lock.ts'
import type { EngineChoice } from '../../planner/choose-engine.ts'
import type { Machine, MachineParts } from '../machine.ts'
import type { Session } from './session.ts'

export interface Beginning {
  readonly machine: Machine
  readonly parts: MachineParts
  /** The machine has this session from here on. Releases the lock where there can be none. */
  open(lock: BundleLock, engine: MachineSpec['engine']): Promise<Session>
  /** Nothing came of it; it is closed. */
  leave(): void
  /** What runs the machine in this life. */
  chose(choice: EngineChoice | null): void
  /** The configuration follows what runs, in a turn of its own. */
  follow(): void
}
