/** What the window and the command line see of a machine. */
import type { GuestAddresses, MachineView, VncState } from '../../../src-shared/api/machines.ts'
import type { AppError } from '../../../src-shared/errors/app-error.ts'
import type { LiveHardware } from '../../../src-shared/model/live-hardware.ts'
import type { MachineHealth, MachineState } from '../../../src-shared/model/machine-state.ts'
import type { Bundle } from '../library/identity.ts'
import type { EngineChoice } from '../planner/choose-engine.ts'

/** What is true of a machine now and stands in no file. */
export interface MachineStatus {
  /** Null: nothing runs, the bundle says what it is. */
  state: MachineState | null
  health: MachineHealth | null
  healthDetail: string | null
  lastError: AppError | null
  startedAt: string | null
  bootedAt: string | null
  /** An agent answers in the guest. */
  agent: boolean
  interfaces: readonly GuestAddresses[]
  task: string | null
}

export const AT_REST: Readonly<MachineStatus> = {
  state: null,
  health: null,
  healthDetail: null,
  lastError: null,
  startedAt: null,
  bootedAt: null,
  agent: false,
  interfaces: [],
  task: null,
}

export function stateOf(bundle: Bundle, status: Readonly<MachineStatus>): MachineState {
  if (status.state !== null && (status.state !== 'crashed' || !bundle.problem)) return status.state
  return bundle.problem ? 'broken' : bundle.suspended ? 'suspended' : 'off'
}

/** @param choice what runs it or would; null for a bundle that cannot be read */
export function machineView(
  bundle: Bundle,
  status: Readonly<MachineStatus>,
  choice: EngineChoice | null,
  vnc: VncState | null,
  live: LiveHardware | null,
): MachineView {
  const suspendProblem = bundle.suspended?.problem ?? null
  return {
    id: bundle.id,
    name: bundle.name,
    bundle: bundle.folder,
    inLibrary: bundle.inLibrary,
    state: stateOf(bundle, status),
    health: status.health,
    healthDetail: status.healthDetail,
    engine: choice?.engine ?? 'embedded',
    why: choice?.why ?? '',
    accelerator: choice?.accelerator ?? null,
    engineVersion: choice?.engine === 'qemu' && !choice.problems ? choice.fit.program.version : null,
    addresses: status.interfaces.flatMap(({ addresses }) => addresses),
    interfaces: [...status.interfaces],
    agent: status.agent,
    config: bundle.config,
    problem: bundle.problem?.toWire() ?? null,
    lastError: (status.lastError ?? suspendProblem)?.toWire() ?? null,
    startedAt: status.startedAt,
    bootedAt: status.bootedAt,
    suspendedAt: bundle.suspended?.record?.header.savedAt ?? null,
    vnc,
    live,
    task: status.task,
  }
}
