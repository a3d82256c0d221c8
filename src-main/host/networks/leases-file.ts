/**
 * What the networks' DHCP servers leased, kept for the next network thread and the next host: a machine finds its address again. Written half a second after a change, and
 * at the end; what cannot be read means only that machines may get other addresses.
 */
import { z } from 'zod'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { leaseSchema, type Lease } from '../../../src-shared/threads/network-thread.ts'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import { readJson } from '../files/read-json.ts'
import type { Log } from '../log/log.ts'

const MAX_BYTES = 16 * 1024 * 1024
/** All networks' together; the oldest go first. */
const MAX_LEASES = 16_384
/** ms after a change: who is killed loses half a second. */
const PATIENCE = 500
/** Of very many leases the next writing waits this many times what putting them into words took, so that a flood of them takes little of this thread. */
const REST = 50

const fileSchema = z.object({ schema: z.literal(1), leases: z.array(z.unknown()) })

export class LeasesFile {
  #path: string
  #log: Log
  /** In the order of their last change. */
  #leases = new Map<string, Lease>()
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> = Promise.resolve()
  /** ms that it took to put the leases into words last. */
  #effort = 0

  private constructor(path: string, log: Log) {
    this.#path = path
    this.#log = log
  }

  static async open(path: string, log: Log): Promise<LeasesFile> {
    const file = new LeasesFile(path, log)
    try {
      for (const item of fileSchema.parse(await readJson(path, MAX_BYTES)).leases) {
        const lease = leaseSchema.safeParse(item)
        if (lease.success) file.#keep(lease.data)
      }
    } catch (error) {
      const known =
        error instanceof z.ZodError ? new AppError('corrupt', `“${path}” is no list of leases.`, { subject: path }) : asAppError(error)
      if (known.code !== 'not-found') log.warn('networks', `Leases of before are lost: ${known.message}`, { error: known })
    }
    return file
  }

  all(): Lease[] {
    return [...this.#leases.values()]
  }

  /** Those of a network that last. */
  lasting(network: string, now = Date.now()): Lease[] {
    return this.all().filter((lease) => lease.network === network && lease.until > now)
  }

  put(lease: Lease): void {
    this.#keep(lease)
    this.#later()
  }

  remove(network: string, mac: string): void {
    if (this.#leases.delete(`${network}/${mac}`)) this.#later()
  }

  /** Of networks that are gone. */
  keepOnly(networks: ReadonlySet<string>): void {
    for (const { network, mac } of this.all()) if (!networks.has(network)) this.remove(network, mac)
  }

  /** Resolves when all that was put is written, or could not be. */
  async close(): Promise<void> {
    if (this.#timer) this.#write()
    await this.#writing
  }

  #keep(lease: Lease): void {
    const key = `${lease.network}/${lease.mac}`
    this.#leases.delete(key)
    this.#leases.set(key, lease)
    if (this.#leases.size > MAX_LEASES) this.#leases.delete(this.#leases.keys().next().value!)
  }

  #later(): void {
    this.#timer ??= setTimeout(() => this.#write(), Math.max(PATIENCE, this.#effort * REST)).unref()
  }

  #write(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#writing = this.#writing.then(async () => {
      try {
        const begin = performance.now()
        const text = `${JSON.stringify({ schema: 1, leases: this.all() }, null, 1)}\n`
        this.#effort = performance.now() - begin
        await writeFileAtomic(this.#path, text)
      } catch (error) {
        this.#log.warn('networks', 'The leases could not be kept.', { error: asAppError(error) })
      }
    })
  }
}
