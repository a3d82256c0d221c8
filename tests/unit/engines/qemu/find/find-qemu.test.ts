import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Computer } from '../../../../../src-main/engines/qemu/find/computer.ts'
import { thisComputer } from '../../../../../src-main/engines/qemu/find/computer.ts'
import { searchQemu } from '../../../../../src-main/engines/qemu/find/find-qemu.ts'
import type { RunProgram } from '../../../../../src-main/engines/qemu/find/run-program.ts'
import { qemuFactsSchema, type QemuFacts } from '../../../../../src-shared/model/engine-facts.ts'
import { tempFolder } from '../../../../support/temp-folder.ts'
import { fakeComputer, fakeQemu, fakeRun } from './fake-computer.ts'

async function search(computer: Computer, run: RunProgram, cacheFolder?: string, refresh = false): Promise<QemuFacts> {
  const facts = await searchQemu({ resources: '/app', cacheFolder: cacheFolder ?? (await tempFolder()), refresh }, computer, run)
  return qemuFactsSchema.parse(facts)
}

const X86 = '/usr/bin/qemu-system-x86_64'
const linux = (change: Partial<Parameters<typeof fakeComputer>[0]> = {}): Computer =>
  fakeComputer({
    platform: 'linux',
    env: { PATH: '/usr/bin' },
    kvm: 'yes',
    files: { [X86]: 'elf', '/usr/bin/qemu-img': 'elf', '/usr/bin/swtpm': 'elf' },
    ...change,
  })
const withKvm = { arch: 'x86_64', accelerators: ['kvm', 'tcg'] }
/** A computer whose cache is real. */
const cached = (computer: Computer): Computer => ({ ...computer, files: { ...computer.files, read: thisComputer().files.read } })

describe('searching', () => {
  test('Linux with KVM', async () => {
    const { run } = fakeRun({ [X86]: fakeQemu(withKvm) })
    const facts = await search(linux(), run)
    expect(facts).toMatchObject({ found: true, swtpm: '/usr/bin/swtpm', qemuImg: '/usr/bin/qemu-img' })
    expect(facts.accelerators.map(({ name, usable }) => [name, usable])).toEqual([
      ['kvm', true],
      ['tcg', true],
    ])
    expect(facts.tried[0]).toBe(`${X86}: QEMU 8.2.1`)
  })

  test('nothing: where it was looked for', async () => {
    const facts = await search(linux({ files: {} }), fakeRun({}).run)
    expect(facts).toMatchObject({ found: false, programs: [], accelerators: [], swtpm: null, qemuImg: null })
    expect(facts.tried).toContain('/usr/bin')
  })

  test('a program that is broken does not hide the next one, and is named', async () => {
    const other = '/usr/local/bin/qemu-system-x86_64'
    const { run } = fakeRun({ [X86]: () => ({ code: 127, messages: 'no libfdt' }), [other]: fakeQemu(withKvm) })
    const facts = await search(linux({ files: { [X86]: '', [other]: '' } }), run)
    expect(facts.programs.map(({ path }) => path)).toEqual([other])
    expect(facts.tried).toContain(`${X86}: It ended with status 127. It says: no libfdt`)
  })

  test('one program by two ways is asked once', async () => {
    const { run, calls } = fakeRun({ '/bin/qemu-system-x86_64': () => ({ code: 1 }), [X86]: () => ({ code: 1 }) })
    await search(linux({ env: { PATH: '/bin:/usr/bin' }, files: { [X86]: '' }, links: { '/bin/qemu-system-x86_64': X86 } }), run)
    expect(calls).toHaveLength(1)
  })

  test('KVM that does not finish is not used', async () => {
    const { run, calls } = fakeRun({ [X86]: fakeQemu(withKvm, { kvm: { end: 'limit', code: null, ms: 1003 } }) })
    const { accelerators } = await search(linux(), run)
    expect(accelerators[0]).toMatchObject({ name: 'kvm', usable: false, detail: expect.stringContaining('too slow') as string })
    expect(accelerators[1]).toMatchObject({ name: 'tcg', usable: true })
    expect(calls.filter(({ args }) => args.includes('kvm'))).toHaveLength(1)
  })

  test('without rights or device KVM is not tried', async () => {
    for (const kvm of ['no', 'absent'] as const) {
      const { run, calls } = fakeRun({ [X86]: fakeQemu(withKvm) })
      const { accelerators } = await search(linux({ kvm }), run)
      expect(accelerators[0]).toMatchObject({ name: 'kvm', usable: false })
      expect(calls.some(({ args }) => args.includes('kvm'))).toBe(false)
    }
  })

  test('Windows: the program by its name there, and WHPX', async () => {
    const program = 'C:\\Program Files\\qemu\\qemu-system-x86_64.exe'
    const powershell = 'C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe'
    const computer = fakeComputer({
      platform: 'win32',
      env: { Path: 'C:\\Windows', ProgramFiles: 'C:\\Program Files', SystemRoot: 'C:\\Windows' },
      files: { [program]: 'pe', 'C:\\Program Files\\qemu\\qemu-img.exe': 'pe' },
    })
    const qemu = { arch: 'x86_64', accelerators: ['whpx', 'tcg'] }
    const messages =
      'qemu-system-x86_64.exe: WHPX: No accelerator found, hr=00000000\r\nqemu-system-x86_64.exe: failed to initialize whpx: No space left on device\r\n'
    const { run } = fakeRun({
      [program]: fakeQemu(qemu, { whpx: { code: 1, messages } }),
      [powershell]: () => ({ output: 'True False\r\n' }),
    })
    const { programs, accelerators, qemuImg } = await search(computer, run)
    expect(programs.map(({ path }) => path)).toEqual([program])
    expect(qemuImg).toBe('C:\\Program Files\\qemu\\qemu-img.exe')
    expect(accelerators[0]).toMatchObject({ name: 'whpx', usable: false, detail: 'The Windows Hypervisor Platform is not switched on.' })
    const { run: good } = fakeRun({ [program]: fakeQemu(qemu) })
    expect((await search(computer, good)).accelerators[0]).toMatchObject({ name: 'whpx', usable: true, arches: ['x86_64', 'i386'] })
  })

  test('macOS on Apple’s processors: HVF is tried with the program for ARM', async () => {
    const program = '/opt/homebrew/bin/qemu-system-aarch64'
    const computer = fakeComputer({ platform: 'darwin', arch: 'arm64', files: { [program]: 'macho' } })
    const { run, calls } = fakeRun({
      [program]: fakeQemu({ arch: 'aarch64', accelerators: ['hvf', 'tcg'] }, { hvf: { code: 0 }, tcg: { code: 0 } }),
    })
    expect((await search(computer, run)).accelerators).toMatchObject([
      { name: 'hvf', usable: true, arches: ['aarch64'] },
      { name: 'tcg', usable: true, arches: ['aarch64'] },
    ])
    expect(calls.at(-1)!.args).toContain('virt')
  })
})

describe('what was learnt is kept', () => {
  test('the second search runs nothing', async () => {
    const cache = await tempFolder()
    const first = fakeRun({ [X86]: fakeQemu(withKvm) })
    const facts = await search(cached(linux()), first.run, cache)
    expect(first.calls).toHaveLength(3)
    const second = fakeRun({})
    expect(await search(cached(linux()), second.run, cache)).toEqual(facts)
    expect(second.calls).toEqual([])
  })

  test('a changed program, another kernel, and who asks for it: everything anew', async () => {
    const cache = await tempFolder()
    const again = async (computer: Computer, refresh = false): Promise<number> => {
      const { run, calls } = fakeRun({ [X86]: fakeQemu(withKvm) })
      await search(cached(computer), run, cache, refresh)
      return calls.length
    }
    expect(await again(linux())).toBe(3)
    expect(await again(linux({ files: { [X86]: 'newer' } }))).toBe(3)
    expect(await again(linux({ files: { [X86]: 'newer' }, id: 'other kernel' }))).toBe(3)
    expect(await again(linux({ files: { [X86]: 'newer' }, id: 'other kernel' }))).toBe(0)
    expect(await again(linux({ files: { [X86]: 'newer' }, id: 'other kernel' }), true)).toBe(3)
  })

  test('bad news are tried again after a while, good news are not', async () => {
    const cache = await tempFolder()
    const slow = { [X86]: fakeQemu(withKvm, { kvm: { end: 'limit', code: null, ms: 1000 } }) }
    await search(cached(linux()), fakeRun(slow).run, cache)
    const soon = fakeRun(slow)
    expect((await search(cached(linux()), soon.run, cache)).accelerators[0]).toMatchObject({ usable: false })
    expect(soon.calls).toEqual([])
    // An hour later, as the file tells it.
    const file = join(cache, 'qemu.json')
    await writeFile(
      file,
      (await readFile(file, 'utf8')).replace(/"at":(\d+)/g, (_, at) => `"at":${Number(at) - 61 * 60_000}`),
    )
    const later = fakeRun({ [X86]: fakeQemu(withKvm) })
    expect((await search(cached(linux()), later.run, cache)).accelerators[0]).toMatchObject({ usable: true })
    expect(later.calls.map(({ args }) => args[args.indexOf('-accel') + 1])).toEqual(['kvm'])
  })

  test('a damaged cache, or one that cannot be written, costs time only', async () => {
    const cache = await tempFolder()
    await writeFile(join(cache, 'qemu.json'), '{"version":1,"entries":[{"key":')
    expect(await search(cached(linux()), fakeRun({ [X86]: fakeQemu(withKvm) }).run, cache)).toMatchObject({ found: true })
    const file = join(cache, 'file')
    await writeFile(file, '')
    expect(await search(cached(linux()), fakeRun({ [X86]: fakeQemu(withKvm) }).run, join(file, 'in'))).toMatchObject({ found: true })
  })
})
