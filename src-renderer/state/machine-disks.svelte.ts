/** What the disks of a machine take, read while somebody looks and again when something may have changed it. */
import type { DiskState } from '../../src-shared/api/disks.ts'
import { asAppError, type WireError } from '../../src-shared/errors/app-error.ts'
import type { Host } from '../client/host.ts'

export class MachineDisks {
  #host: Host
  #machine: string
  #asked = 0

  #disks = $state.raw<readonly DiskState[]>([])
  /** Why they could not be read. */
  error = $state.raw<WireError | null>(null)

  constructor(host: Host, machine: string) {
    this.#host = host
    this.#machine = machine
  }

  get(drive: string): DiskState | undefined {
    return this.#disks.find((disk) => disk.drive === drive)
  }

  async load(): Promise<void> {
    const asked = ++this.#asked
    try {
      const disks = await this.#host.disks.list({ machine: this.#machine })
      if (asked !== this.#asked) return
      this.#disks = disks
      this.error = null
    } catch (error) {
      if (asked === this.#asked) this.error = asAppError(error, 'Reading the disks').toWire()
    }
  }
}
