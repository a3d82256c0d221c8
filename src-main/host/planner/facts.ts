/** What the planner must know beside the configuration. Found out by the host, given as values. */
import type { QemuFacts } from '../../../src-shared/model/engine-facts.ts'
import type { FileFact } from './file-fact.ts'
import type { Bridges } from './plan-bridge.ts'

/** This computer. */
export interface ComputerFacts {
  /** Processors, as the system counts them. */
  cpus: number
  memoryMiB: number
}

/** What decides which engine runs a machine. */
export interface EngineFacts {
  computer: ComputerFacts
  qemu: QemuFacts
  /** True while `qemu` is not known yet, as in a host's first moments. */
  searching?: boolean
}

/** Where the host keeps them up to date. */
export interface EngineFactsSource {
  readonly current: EngineFacts
  /** Resolves when this computer was looked at: `current` is right from then on. Never rejects. */
  whenFound(): Promise<void>
}

export interface PlanFacts extends EngineFacts {
  /** The embedded engine's. */
  firmware: { bios: string; vgaBios: string }
  /** Absolute path of the bundle's logs folder, and of its folder for what firmware and TPM keep. */
  logFolder: string
  firmwareFolder: string
  /** By path as in the configuration; one for each path that it names. */
  files: ReadonlyMap<string, FileFact>
  /** Absolute paths of images that the machine's snapshots have frozen: nobody may write them. */
  frozen?: ReadonlySet<string>
  /** Absent: there are none. */
  bridges?: Bridges
}
