/** Where the BIOS comes from: the files that came with Coppice, else the cache, else Debian's package (the last two by the appliance thread). */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { applianceThread } from '../../../../src-shared/threads/appliance-thread.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'

export interface FirmwareFiles {
  bios: string
  vgaBios: string
}

/** Names in the resources' firmware folder, as Debian's seabios package has them. */
export const FIRMWARE_FILES: FirmwareFiles = { bios: 'bios.bin', vgaBios: 'vgabios-stdvga.bin' }

export class FirmwareFinder {
  #resources: string
  #cacheFolder: string
  #appliance: SharedThread
  #found: Promise<FirmwareFiles> | null = null

  constructor(resources: string, cacheFolder: string, appliance: SharedThread) {
    this.#resources = resources
    this.#cacheFolder = cacheFolder
    this.#appliance = appliance
  }

  /**
   * The files, there and readable. What was found is remembered while it is there; a search is shared by all who ask meanwhile.
   * @throws AppError `unavailable` with the reason
   */
  async find(): Promise<FirmwareFiles> {
    const known = await this.#found?.catch(() => null)
    if (known && (await isThere(known))) return known
    const search = this.#search()
    this.#found = search
    return search
  }

  async #search(): Promise<FirmwareFiles> {
    const folder = join(this.#resources, 'firmware')
    const shipped = { bios: join(folder, FIRMWARE_FILES.bios), vgaBios: join(folder, FIRMWARE_FILES.vgaBios) }
    if (await isThere(shipped)) return shipped
    try {
      const { bios, vgaBios } = await this.#appliance.use((thread) =>
        thread.rpc.service(applianceThread).firmware({ job: newId(), cacheFolder: this.#cacheFolder }),
      )
      return { bios, vgaBios }
    } catch (error) {
      const cause = asAppError(error)
      throw new AppError('unavailable', `The machine’s firmware (BIOS) is missing: ${cause.message}`, { subject: folder }, cause)
    }
  }
}

async function isThere({ bios, vgaBios }: FirmwareFiles): Promise<boolean> {
  return Promise.all([access(bios), access(vgaBios)]).then(
    () => true,
    () => false,
  )
}
