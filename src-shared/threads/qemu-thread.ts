/** What QEMU's thread does beside being an engine (engine-thread.ts). */
import { z } from 'zod'
import type { QemuFacts } from '../model/engine-facts.ts'
import type { MachineSpec } from '../model/machine-spec.ts'
import { call, defineService } from '../rpc/service.ts'

export interface Survivor {
  machine: string
  name: string
  /** Tells machines of the same id apart that are copies of each other. */
  logFolder: string
}

export interface AdoptedMachine {
  state: 'running' | 'paused'
  /** ISO 8601. */
  startedAt: string
  spec: MachineSpec
}

export const qemuThread = defineService('qemu', {
  /**
   * What there is of QEMU on this computer, and what of it works. Programs that have not changed since the last time are not run again.
   * `refresh` tries everything anew: for people who have just changed something that no file shows, as a setting in the firmware.
   */
  find: call(
    z.strictObject({
      /** The app's own resources, where a QEMU may be in the folder qemu. */
      resources: z.string().min(1),
      cacheFolder: z.string().min(1),
      refresh: z.boolean().default(false),
    }),
  ).returns<QemuFacts>(),
  /** Machines that run and that no thread of this host knows: a host, or a thread like this, ended without them. */
  survivors: call(z.strictObject({})).returns<Survivor[]>(),
  /**
   * Takes such a machine over; from then on it is one of this thread (engine-thread.ts), with the consoles' earlier output. `not-found`: it does
   * not run. `busy`: another host has it.
   */
  adopt: call(
    z.strictObject({
      machine: z.uuid(),
      /** As in `Survivor`: a copy of a machine has its id, and is not it. */
      logFolder: z.string().min(1),
      counters: z.custom<SharedArrayBuffer>((value) => value instanceof SharedArrayBuffer),
    }),
  ).returns<AdoptedMachine>(),
})
