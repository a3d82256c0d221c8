/** What the disks of a machine take, read while somebody looks and again when something may have changed it. */
import type { DiskState } from '../../src-shared/api/disks.ts'
import { asAppError, type WireError } from '../../src-shared/errors/app-error.ts'
import type { Drive } from '../../src-shared/model/machine.ts'
import { isNetworkAddress } from '../../src-shared/model/network-disk.ts'
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

  /** Of a drive in a form, unless what is typed there since it was saved is another image. */
  of({ id, kind, path }: Pick<Drive, 'id' | 'kind'> & { path: string }, saved: readonly Drive[]): DiskState | undefined {
    const typed = path.trim()
    if (kind !== 'disk' || isNetworkAddress(typed) || saved.find((drive) => drive.id === id)?.path !== typed) return undefined
    return this.#disks.find((disk) => disk.drive === id)
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
