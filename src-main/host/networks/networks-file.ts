/**
 * networks.json of a library: which networks there are. What cannot be read is kept aside, never lost; what a newer Coppice wrote, or what
 * the system does not give, stays untouched, and nothing can be changed then.
 */
import { rename } from 'node:fs/promises'
import { type z } from 'zod'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { Turns } from '../../../src-shared/base/turns.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { fieldErrors } from '../../../src-shared/errors/field-errors.ts'
import {
  DEFAULT_NETWORK,
  networkSchema,
  NETWORKS_SCHEMA,
  networksSchema,
  portSettingsSchema,
  routerSchema,
  type Network,
  type Networks,
} from '../../../src-shared/model/network.ts'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import { readJson } from '../files/read-json.ts'
import type { Log } from '../log/log.ts'

/** Bytes. The largest document that the schema allows is smaller, notes that people write into it by hand included. */
const MAX_BYTES = 64 * 1024 * 1024

export class NetworksFile implements Disposable {
  #path: string
  #current: Networks
  /** Why it cannot be changed. */
  #locked: AppError | null
  #changed = new Emitter<Networks>()
  #turns = new Turns()
  #kept: boolean

  readonly onChanged: Event<Networks> = this.#changed.event
  /** What was wrong with the file when it was read, and what became of it; null where nothing was. */
  readonly problem: AppError | null

  private constructor(path: string, current: Networks, problem: AppError | null, locked: boolean, kept: boolean) {
    this.#path = path
    this.#current = current
    this.problem = problem
    this.#locked = locked ? problem : null
    this.#kept = kept
  }

  /**
   * Reads the file; a missing one means the default network alone. A broken one is renamed to `<file>.broken-<time>`, and what is valid in it goes on in
   * a new file.
   * @param makeDefault the network `default`, where there is none; `others`: those that there are
   */
  static async open(path: string, makeDefault: (others: readonly Network[]) => Network, log: Log): Promise<NetworksFile> {
    const complete = (found: Networks): Networks =>
      found.networks.some(({ name }) => name === DEFAULT_NETWORK)
        ? found
        : { ...found, networks: [makeDefault(found.networks), ...found.networks] }
    const empty = complete({ schema: NETWORKS_SCHEMA, networks: [], routers: [], ports: [], map: {} })
    let json: unknown
    try {
      json = await readJson(path, MAX_BYTES)
    } catch (error) {
      const known = asAppError(error)
      if (known.code === 'not-found') return new NetworksFile(path, empty, null, false, false)
      log.error('networks', known.message, { error: known })
      if (known.code !== 'corrupt') {
        const text = `The networks could not be read: ${known.message} There is the network “${DEFAULT_NETWORK}” alone until Coppice is started again.`
        return new NetworksFile(path, empty, new AppError(known.code, text, { subject: path }, known), true, true)
      }
    }
    const version = typeof json === 'object' && json !== null ? (json as { schema?: unknown }).schema : undefined
    if (typeof version === 'number' && version > NETWORKS_SCHEMA) {
      const text = `The networks were saved by a newer Coppice (format ${version}; this one reads up to ${NETWORKS_SCHEMA}). There is the network “${DEFAULT_NETWORK}” alone, and nothing can be changed. Update Coppice.`
      return new NetworksFile(path, empty, new AppError('newer-version', text, { subject: path }), true, true)
    }
    const parsed = networksSchema.safeParse(json)
    if (parsed.success)
      return new NetworksFile(
        path,
        complete(parsed.data),
        null,
        false,
        parsed.data.networks.some(({ name }) => name === DEFAULT_NETWORK),
      )
    const salvaged = complete(salvage(json))
    const aside = `${path}.broken-${new Date().toISOString().replaceAll(':', '-')}`
    try {
      await rename(path, aside)
      await writeFileAtomic(path, serialise(salvaged))
      const text = `The networks could not be read as they are. They were kept as “${aside}”; those that were valid still hold.`
      log.error('networks', text)
      return new NetworksFile(path, salvaged, new AppError('corrupt', text, { subject: path }), false, true)
    } catch (error) {
      const cause = asAppError(error, `Renaming “${path}”`)
      const text = `The networks could not be read, nor kept aside: ${cause.message} Nothing can be changed.`
      log.error('networks', text, { error: cause })
      return new NetworksFile(path, salvaged, new AppError('corrupt', text, { subject: path }, cause), true, true)
    }
  }

  get current(): Networks {
    return this.#current
  }

  /** The network of that name. @throws AppError `not-found` */
  get(name: string): Network {
    const found = this.#current.networks.find((network) => network.name === name)
    if (!found) throw new AppError('not-found', `There is no network “${name}”.`, { subject: name })
    return found
  }

  /**
   * One after the other, each on top of the one before. On disk when it resolves; on an error nothing has changed.
   * @param edit gives the document anew, which is checked as a whole, or throws
   */
  change(edit: (now: Networks) => Networks): Promise<Networks> {
    return this.#turns.run(async () => {
      if (this.#locked) throw this.#locked
      const parsed = networksSchema.safeParse(edit(this.#current))
      if (!parsed.success) throw AppError.invalid(fieldErrors(parsed.error))
      const next = parsed.data
      await writeFileAtomic(this.#path, serialise(next))
      this.#current = next
      this.#kept = true
      this.#changed.fire(next)
      return next
    })
  }

  /** Writes the networks that nobody changed yet. */
  async keep(): Promise<void> {
    if (this.#kept || this.#locked) return
    this.#kept = true
    await this.change((now) => now)
  }

  dispose(): void {
    this.#changed.dispose()
  }
}

function serialise(value: Networks): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** Everything valid in a document that as a whole is not. */
function salvage(json: unknown): Networks {
  const from = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>
  const valid = <T>(list: unknown, schema: z.ZodType<T>, key: (item: T) => string): T[] => {
    const found = new Map<string, T>()
    for (const item of Array.isArray(list) ? list : []) {
      const parsed = schema.safeParse(item)
      if (parsed.success && !found.has(key(parsed.data))) found.set(key(parsed.data), parsed.data)
    }
    return [...found.values()]
  }
  const networks = valid(from['networks'], networkSchema, ({ name }) => name)
  const has = (name: string): boolean => networks.some((network) => network.name === name)
  const whole = networksSchema.safeParse({
    schema: NETWORKS_SCHEMA,
    networks,
    routers: valid(from['routers'], routerSchema, ({ name }) => name).filter(({ interfaces }) =>
      interfaces.every(({ network }) => has(network)),
    ),
    ports: valid(from['ports'], portSettingsSchema, ({ machine, nic }) => `${machine}/${nic}`),
    map: {},
  })
  return whole.success ? whole.data : { schema: NETWORKS_SCHEMA, networks: [], routers: [], ports: [], map: {} }
}
