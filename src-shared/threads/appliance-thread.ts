/** Control of the appliance thread: assembles Coppice Linux and fetches firmware from Debian's packages. */
import { z } from 'zod'
import { call, defineService, event } from '../rpc/service.ts'

export interface Appliance {
  /** Hash of everything that went into it; also its folder's name in the cache. */
  hash: string
  kernel: string
  initrd: string
  cmdline: string
  /** "6.1.0-40-686" and so on. */
  kernelVersion: string
  arch: 'i386' | 'x86_64'
}
export interface Firmware {
  bios: string
  vgaBios: string
  /** Debian's package version, or "unknown" where files were given. */
  version: string
}
export interface ApplianceProgress {
  job: string
  /** Shown to people: "Downloading Debian’s kernel". */
  step: string
  done: number
  total: number
}

const cacheFolder = z.string().min(1)

export const applianceThread = defineService('appliance', {
  /** The appliance from the cache, or built. Cancel through the call's signal; a cancelled build leaves nothing half done. */
  coppiceLinux: call(
    z.strictObject({
      job: z.string(),
      arch: z.enum(['i386', 'x86_64']),
      cacheFolder,
      /** The resources folder, which holds the guest's own files. */
      resources: z.string().min(1),
    }),
  ).returns<Appliance>(),
  /** The BIOS files from the cache, or fetched from the seabios package. */
  firmware: call(z.strictObject({ job: z.string(), cacheFolder })).returns<Firmware>(),
  progress: event<ApplianceProgress>(),
})
