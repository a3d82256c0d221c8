/** What a check is: one thing that Doctor looks at. */
import type { DoctorCheck } from '../../../src-shared/api/system.ts'
import type { QemuFacts } from '../../../src-shared/model/engine-facts.ts'
import type { AppError } from '../../../src-shared/errors/app-error.ts'
import type { EngineCapabilities } from '../../../src-shared/threads/engine-thread.ts'
import type { HostOptions } from '../host-options.ts'

/** Where Doctor looks. */
export interface DoctorSubject extends Omit<HostOptions, 'logFolder'> {
  /** Starts the engine's thread and asks it what it is. */
  describeEngine(): Promise<EngineCapabilities>
  /** Asks QEMU's thread. @param refresh tries everything anew, instead of believing what was found before */
  findQemu(refresh: boolean): Promise<QemuFacts>
  settingsProblem: AppError | null
  networksProblem: AppError | null
  /** Loads what host terminals need; rejects with the reason. */
  loadTerminals(): Promise<unknown>
}

/** One examination, in which several checks ask for the same. */
export interface Examination extends DoctorSubject {
  qemu(): Promise<QemuFacts>
}

export type Finding = Pick<DoctorCheck, 'state' | 'detail'> & { advice?: string }
export interface Check extends Pick<DoctorCheck, 'id' | 'group' | 'title'> {
  /** True: a good finding is not looked for again. */
  lasting?: boolean
  /** Null where it does not concern this computer. */
  look(examination: Examination): Promise<Finding | null>
}
