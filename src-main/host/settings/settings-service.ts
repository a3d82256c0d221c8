/** The user's choices, in one file. What cannot be read is kept aside, never lost. */
import { rename } from 'node:fs/promises'
import { settingsSchema, type settings, type Settings } from '../../../src-shared/api/settings.ts'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { Turns } from '../../../src-shared/base/turns.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import { readJson } from '../files/read-json.ts'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import type { Log } from '../log/log.ts'

/** Bytes of a settings file; ours has a few hundred. */
const MAX_SETTINGS_BYTES = 256 * 1024

export class SettingsService implements Disposable {
  #file: string
  #current: Settings
  #changed = new Emitter<Settings>()
  #turns = new Turns()

  readonly onChanged: Event<Settings> = this.#changed.event
  /** What was wrong with the file when it was read, and what became of it; null where nothing was. */
  readonly problem: AppError | null

  readonly handlers: Handlers<typeof settings> = {
    get: () => this.#current,
    set: (patch) => this.#set(patch),
    changed: this.#changed.event,
  }

  private constructor(file: string, current: Settings, problem: AppError | null = null) {
    this.#file = file
    this.#current = current
    this.problem = problem
  }

  /**
   * Reads the file; a missing one means the defaults. A broken one is renamed to `<file>.broken-<time>` and the values in it that are valid
   * go on in a new file; `problem` and the log say so.
   * @param file absolute path of settings.json
   */
  static async open(file: string, log: Log): Promise<SettingsService> {
    let json: unknown
    try {
      json = await readJson(file, MAX_SETTINGS_BYTES)
      const parsed = settingsSchema.safeParse(json)
      if (parsed.success) return new SettingsService(file, parsed.data)
    } catch (error) {
      const known = asAppError(error)
      if (known.code === 'not-found') return new SettingsService(file, settingsSchema.parse({}))
      log.error('settings', known.message, { error: known })
    }
    const salvaged = salvage(json)
    const aside = `${file}.broken-${new Date().toISOString().replaceAll(':', '-')}`
    try {
      await rename(file, aside)
      await writeFileAtomic(file, serialise(salvaged))
      const problem = new AppError(
        'corrupt',
        `The settings could not be read as they are. They were kept as “${aside}”; what was valid in them still holds.`,
        { subject: file },
      )
      log.error('settings', problem.message)
      return new SettingsService(file, salvaged, problem)
    } catch (error) {
      const cause = asAppError(error, `Renaming “${file}”`)
      const problem = new AppError('corrupt', `The settings could not be read, nor kept aside: ${cause.message}`, { subject: file }, cause)
      log.error('settings', problem.message, { error: cause })
      return new SettingsService(file, salvaged, problem)
    }
  }

  get current(): Settings {
    return this.#current
  }

  dispose(): void {
    this.#changed.dispose()
  }

  /** One after the other, each on top of the one before. On disk when it resolves; on an error nothing has changed. */
  #set(patch: Partial<Settings>): Promise<Settings> {
    return this.#turns.run(async () => {
      const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
      const next = settingsSchema.parse({ ...this.#current, ...given })
      await writeFileAtomic(this.#file, serialise(next))
      this.#current = next
      this.#changed.fire(next)
      return next
    })
  }
}

function serialise(value: Settings): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** Every valid field of an object that as a whole is not; defaults for the others. */
function salvage(json: unknown): Settings {
  const from = typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {}
  const valid = Object.entries(settingsSchema.shape).filter(
    ([name, field]) => Object.hasOwn(from, name) && field.safeParse(from[name]).success,
  )
  return settingsSchema.parse(Object.fromEntries(valid.map(([name]) => [name, from[name]])))
}
