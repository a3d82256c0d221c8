import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Check, DoctorSubject } from '../../../../src-main/host/system/check.ts'
import { createDoctor } from '../../../../src-main/host/system/doctor.ts'
import type { DoctorCheck } from '../../../../src-shared/api/system.ts'
import { NO_QEMU } from '../../../../src-shared/model/engine-facts.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { EngineCapabilities } from '../../../../src-shared/threads/engine-thread.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const engine = { version: 'v86 1', maxMemoryMiB: 2047, isolation: 'Inside WebAssembly.' } as EngineCapabilities

/** A computer with everything, in a folder of its own. */
async function computer(change: Partial<DoctorSubject> = {}): Promise<DoctorSubject> {
  const folder = await tempFolder()
  for (const name of ['library', 'cache/firmware', 'resources', 'bin']) await mkdir(join(folder, name), { recursive: true })
  vi.stubEnv('PATH', join(folder, 'bin'))
  vi.stubEnv('COPPICE_CHROMIUM', '')
  return {
    library: join(folder, 'library'),
    cacheFolder: join(folder, 'cache'),
    resources: join(folder, 'resources'),
    shell: 'headless',
    allowTerminal: true,
    version: '1.2.3',
    describeEngine: () => Promise.resolve(engine),
    findQemu: () => Promise.resolve(NO_QEMU),
    loadTerminals: () => Promise.resolve(),
    settingsProblem: null,
    networksProblem: null,
    ...change,
  }
}
async function install(subject: DoctorSubject, ...programs: string[]): Promise<void> {
  for (const name of programs) {
    await writeFile(join(subject.library, '..', 'bin', name), '')
    await chmod(join(subject.library, '..', 'bin', name), 0o755)
  }
}
async function examine(subject: DoctorSubject): Promise<Record<string, DoctorCheck>> {
  const { checks } = await createDoctor(subject).report()
  return Object.fromEntries(checks.map((check) => [check.id, check]))
}
afterEach(() => vi.unstubAllEnvs())

describe('doctor', () => {
  test('every check has sentences, an id of its own and, where it is not well, advice', async () => {
    const subject = await computer({ describeEngine: () => Promise.reject(new AppError('crashed', 'The thread died.')) })
    const { checks, at } = await createDoctor(subject).report()
    expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length)
    expect(Number.isNaN(Date.parse(at))).toBe(false)
    for (const { detail, advice, state } of checks) {
      expect(detail).toMatch(/^[\p{Lu}\d“].*\.$/u)
      if (state === 'problem' || state === 'warning') expect(advice).toMatch(/[.:]/)
    }
  })

  test('settings that could not be read are told, others are not worth a word', async () => {
    expect(await examine(await computer())).not.toHaveProperty('settings')
    const settingsProblem = new AppError('corrupt', 'The settings could not be read as they are.')
    expect((await examine(await computer({ settingsProblem })))['settings']).toMatchObject({
      state: 'warning',
      detail: settingsProblem.message,
    })
  })

  test('networks that could not be read are told', async () => {
    const networksProblem = new AppError('newer-version', 'The networks were saved by a newer Coppice.')
    expect((await examine(await computer({ networksProblem })))['networks']).toMatchObject({
      state: 'warning',
      detail: networksProblem.message,
    })
    expect(await examine(await computer())).not.toHaveProperty('networks')
  })

  test('the engine: ready, or why not', async () => {
    const good = await examine(await computer())
    expect(good['embedded-engine']).toMatchObject({ state: 'ok', detail: expect.stringContaining('v86 1') as string })
    const bad = await computer({ describeEngine: () => Promise.reject(new AppError('crashed', 'The thread died.')) })
    expect((await examine(bad))['embedded-engine']).toMatchObject({
      state: 'problem',
      detail: expect.stringContaining('The thread died.') as string,
    })
    expect((await createDoctor(bad).report()).summary).toContain('Embedded engine')
  })

  test('firmware: beside the program, in the cache, fetched with apt, or missing', async () => {
    const subject = await computer()
    expect((await examine(subject))['firmware']).toMatchObject({ state: 'problem', advice: expect.stringContaining('bios.bin') as string })
    await install(subject, 'apt-get', 'apt-cache')
    expect((await examine(subject))['firmware']).toMatchObject({ state: 'info' })
    for (const name of ['bios.bin', 'vgabios-stdvga.bin']) await writeFile(join(subject.cacheFolder, 'firmware', name), '')
    expect((await examine(subject))['firmware']).toMatchObject({
      state: 'ok',
      detail: expect.stringContaining(subject.cacheFolder) as string,
    })
  })

  test('Coppice Linux: built, can be built, or not here', async () => {
    const subject = await computer()
    expect((await examine(subject))['coppice-linux']).toMatchObject({ state: 'warning' })
    await install(subject, 'apt-get', 'apt-cache')
    expect((await examine(subject))['coppice-linux']).toMatchObject({ state: 'ok', detail: expect.stringContaining('55 MB') as string })
    await mkdir(join(subject.cacheFolder, 'appliances', 'half'), { recursive: true })
    await mkdir(join(subject.cacheFolder, 'appliances', 'whole'))
    await writeFile(join(subject.cacheFolder, 'appliances', 'whole', 'manifest.json'), '{"kernelVersion":"6.1.0-9"}')
    expect((await examine(subject))['coppice-linux']).toMatchObject({ state: 'ok', detail: expect.stringContaining('6.1.0-9') as string })
  })

  test('a library that cannot be written is a problem with a way out', async () => {
    const subject = await computer()
    expect((await examine(subject))['library']?.state).toBe('ok')
    await writeFile(join(subject.library, '..', 'file'), '')
    const broken = { ...subject, library: join(subject.library, '..', 'file') }
    expect((await examine(broken))['library']).toMatchObject({ state: 'problem', advice: expect.stringContaining('--library') as string })
  })

  test('terminals: allowed and loading, or why not', async () => {
    expect((await examine(await computer()))['terminal']?.state).toBe('ok')
    expect((await examine(await computer({ allowTerminal: false })))['terminal']).toMatchObject({
      state: 'info',
      advice: expect.stringContaining('--allow-terminal') as string,
    })
    const loadTerminals = (): Promise<never> => Promise.reject(new AppError('unavailable', 'It does not load.'))
    expect((await examine(await computer({ loadTerminals })))['terminal']).toMatchObject({ state: 'warning', detail: 'It does not load.' })
  })

  test('a browser is found by its name in the path', async () => {
    const subject = await computer()
    expect((await examine(subject))['window']?.state).toBe('info')
    await install(subject, 'google-chrome')
    expect((await examine(subject))['window']).toMatchObject({ state: 'ok', detail: expect.stringContaining('google-chrome') as string })
    expect((await examine({ ...subject, shell: 'electron' }))['window']?.detail).toContain('Electron')
  })

  test('a good engine is not started for every examination; one that failed is', async () => {
    const describeEngine = vi.fn(() => Promise.resolve(engine)).mockRejectedValueOnce(new Error('not yet'))
    const doctor = createDoctor(await computer({ describeEngine }))
    const states: (string | undefined)[] = []
    for (let times = 0; times < 4; times++) states.push((await doctor.report()).checks.find(({ id }) => id === 'embedded-engine')?.state)
    expect(states).toEqual(['problem', 'ok', 'ok', 'ok'])
    expect(describeEngine).toHaveBeenCalledTimes(2)
  })

  test('QEMU is looked for once in an examination, and anew by who examines again', async () => {
    const findQemu = vi.fn(() => Promise.resolve(NO_QEMU))
    const doctor = createDoctor(await computer({ findQemu }))
    expect((await doctor.report()).checks.filter(({ id }) => ['qemu', 'acceleration', 'uefi', 'tpm'].includes(id))).toMatchObject([
      { id: 'qemu', state: 'info' },
    ])
    await doctor.report()
    expect(findQemu.mock.calls).toEqual([[false], [true]])
  })

  test('a search that fails is reported once', async () => {
    const subject = await computer({ findQemu: () => Promise.reject(new AppError('crashed', 'The thread died.')) })
    const { checks } = await createDoctor(subject).report()
    expect(checks.filter(({ detail }) => detail.includes('The thread died.')).map(({ id }) => id)).toEqual(['qemu'])
  })

  test('who asks at once shares an examination; nothing is looked at before', async () => {
    const look = vi.fn(() => Promise.resolve({ state: 'ok' as const, detail: 'Fine.' }))
    const check: Check = { id: 'a', group: 'host', title: 'A', look }
    const doctor = createDoctor(await computer(), [check])
    expect(look).not.toHaveBeenCalled()
    const [one, two] = await Promise.all([doctor.report(), doctor.report()])
    expect(one).toBe(two)
    await doctor.report()
    expect(look).toHaveBeenCalledTimes(2)
  })

  test('a check that fails or never answers says so in its place', async () => {
    vi.useFakeTimers()
    const base = { group: 'host', title: 'A' } as const
    const doctor = createDoctor({} as DoctorSubject, [
      { ...base, id: 'throws', look: () => Promise.reject(new Error('boom')) },
      { ...base, id: 'hangs', look: () => new Promise(() => {}) },
    ])
    const report = doctor.report()
    await vi.advanceTimersByTimeAsync(30_000)
    expect((await report).checks).toMatchObject([
      { state: 'warning', detail: expect.stringContaining('boom') as string },
      { state: 'warning', detail: expect.stringContaining('no answer') as string },
    ])
    vi.useRealTimers()
  })
})
