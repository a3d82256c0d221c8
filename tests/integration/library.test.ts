/** The library on a real file system: what is found, what is watched, what is refused, what nobody touches. */
import { cp, link, lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Library, serialiseConfig, type LibraryChange } from '../../src-main/host/library/library.ts'
import { parseMachineConfig, type MachineConfig } from '../../src-shared/model/machine.ts'
import { memoryLog } from '../support/memory-log.ts'
import { tempFolder } from '../support/temp-folder.ts'

function config(name: string, change: object = {}): MachineConfig {
  const base = { schema: 1, id: crypto.randomUUID(), created: '2026-11-21T00:00:00Z', boot: { kind: 'firmware' } }
  return parseMachineConfig({ ...base, name, ...change })
}

async function putBundle(folder: string, content: MachineConfig | string): Promise<string> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'machine.json'), typeof content === 'string' ? content : serialiseConfig(content))
  return folder
}

async function open(folder: string) {
  const log = memoryLog()
  const library = new Library(folder, log)
  onTestFinished(() => library.close())
  await library.ready
  const by = (name: string) => [...library.bundles()].find((bundle) => bundle.name === name)
  /** Resolves when the library looks as wanted. */
  const until = (wanted: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!wanted()) return
        listening.dispose()
        resolve()
      }
      const listening = library.onChanged(check)
      check()
    })
  return { library, log, by, until }
}

describe('a library', () => {
  test('does not bring back a bundle that was moved away while it was read', async () => {
    const folder = await tempFolder()
    const away = await tempFolder()
    const { library, by } = await open(folder)
    for (let count = 0; count < 40; count++) {
      const bundle = await putBundle(join(folder, `m${count}.coppice`), config(`M${count}`))
      await library.rescan()
      const reading = library.refresh(bundle)
      // As far as it came by then.
      for (let step = 0; step < count % 5; step++) await lstat(bundle)
      await rename(bundle, join(away, `${count}`))
      await library.forget(bundle)
      expect(by(`M${count}`)).toBeUndefined()
      await reading
      expect(by(`M${count}`)).toBeUndefined()
    }
  })

  test('has the bundles of its folder, the broken ones with their reason, and touches none', async () => {
    const folder = await tempFolder()
    await putBundle(join(folder, 'good.coppice'), config('Good'))
    await putBundle(join(folder, 'no json.coppice'), '{"schema": 1,')
    await putBundle(join(folder, 'empty.coppice'), '')
    await putBundle(join(folder, 'newer.coppice'), '{"schema": 99, "surprise": true}')
    await putBundle(join(folder, 'wrong.coppice'), JSON.stringify({ ...config('Wrong'), memoryMiB: 7, serialPorts: 9 }))
    await putBundle(join(folder, 'escapes.coppice'), JSON.stringify({ ...config('E'), drives: [{ id: 'd', kind: 'disk', path: '../x' }] }))
    await putBundle(join(folder, 'control.coppice'), JSON.stringify({ ...config('C'), name: 'a\u0000b' }))
    await putBundle(join(folder, 'path.coppice'), JSON.stringify({ ...config('P'), name: '../p' }))
    await putBundle(join(folder, 'huge.coppice'), `"${'x'.repeat(2 * 1024 * 1024)}"`)
    await mkdir(join(folder, 'nothing.coppice'))
    await mkdir(join(folder, 'directory.coppice/machine.json'), { recursive: true })
    await mkdir(join(folder, 'other folder'))
    await writeFile(join(folder, 'file.coppice'), '')
    await symlink(join(folder, 'good.coppice'), join(folder, 'linked.coppice'))
    await mkdir(join(folder, 'linked config.coppice'))
    await symlink(join(folder, 'good.coppice/machine.json'), join(folder, 'linked config.coppice/machine.json'))
    const before = await readdir(folder, { recursive: true })
    const { library } = await open(folder)
    const problems = Object.fromEntries([...library.bundles()].map((bundle) => [bundle.name, bundle.problem?.message ?? null]))
    expect(problems).toEqual({
      Good: null,
      'no json': expect.stringContaining('is not valid JSON') as string,
      empty: expect.stringContaining('is empty') as string,
      newer: 'This machine was saved by a newer Coppice (format 99; this one reads up to 1). Update Coppice to open it.',
      wrong: expect.stringContaining('7 MiB is too little memory') as string,
      escapes: expect.stringContaining('leaves the machine’s bundle') as string,
      control: expect.stringContaining('control character') as string,
      path: expect.stringContaining('“/”') as string,
      huge: expect.stringContaining('larger than') as string,
      nothing: expect.stringContaining('does not exist') as string,
      directory: expect.stringContaining('not a regular file') as string,
      linked: expect.stringContaining('a link to a folder elsewhere') as string,
      'linked config': expect.stringContaining('is a link') as string,
    })
    expect(library.at(join(folder, 'wrong.coppice'))!.problem!.details.fields!.map(({ path }) => path)).toEqual([
      'memoryMiB',
      'serialPorts',
    ])
    expect(await readdir(folder, { recursive: true })).toEqual(before)
  })

  test('reads a thousand bundles', async () => {
    const folder = await tempFolder()
    await Promise.all(Array.from({ length: 1000 }, (_, n) => putBundle(join(folder, `m${n}.coppice`), config(`m${n}`))))
    const { library } = await open(folder)
    expect([...library.bundles()].filter(({ problem }) => !problem)).toHaveLength(1000)
  })

  test('sees bundles come, change by hand, break, heal and go', async () => {
    const folder = await tempFolder()
    const { by, until } = await open(folder)
    const first = config('First')
    const bundle = await putBundle(join(folder, 'first.coppice'), first)
    await until(() => by('First')?.config?.memoryMiB === 256)
    await writeFile(join(bundle, 'machine.json'), serialiseConfig({ ...first, memoryMiB: 512 }))
    await until(() => by('First')?.config?.memoryMiB === 512)
    await writeFile(join(bundle, 'machine.json'), '{')
    await until(() => Boolean(by('First')?.problem))
    expect(by('First')!.id).toBe(first.id)
    // As editors do: a new file in the place of the old one.
    await writeFile(join(bundle, 'x'), serialiseConfig({ ...first, notes: 'healed' }))
    await rename(join(bundle, 'x'), join(bundle, 'machine.json'))
    await until(() => by('First')?.config?.notes === 'healed')
    await rm(bundle, { recursive: true })
    await until(() => by('First') === undefined)
  })

  test('sees a bundle renamed by hand as the same machine', async () => {
    const folder = await tempFolder()
    const machine = config('Name')
    await putBundle(join(folder, 'a.coppice'), machine)
    const { library, until } = await open(folder)
    const changes: LibraryChange[] = []
    library.onChanged((change) => changes.push(change))
    await rename(join(folder, 'a.coppice'), join(folder, 'b.coppice'))
    await until(() => library.get(machine.id)?.folder === join(folder, 'b.coppice'))
    expect(changes.map(({ kind }) => kind)).toEqual(['put'])
    await writeFile(join(folder, 'b.coppice/machine.json'), serialiseConfig({ ...machine, notes: 'still watched' }))
    await until(() => library.get(machine.id)?.config?.notes === 'still watched')
  })

  test('survives the deletion and the return of its folder', async () => {
    const folder = join(await tempFolder(), 'library')
    await putBundle(join(folder, 'a.coppice'), config('A'))
    const { by, until } = await open(folder)
    await rm(folder, { recursive: true })
    await until(() => by('A') === undefined)
    await putBundle(join(folder, 'b.coppice'), config('B'))
    await until(() => by('B') !== undefined)
    await putBundle(join(folder, 'c.coppice'), config('C'))
    await until(() => by('C') !== undefined)
  })

  test('shows a copied folder as a copy, until the original is gone', async () => {
    const folder = await tempFolder()
    const machine = config('a')
    await putBundle(join(folder, 'a.coppice'), machine)
    const { library, by, until } = await open(folder)
    await cp(join(folder, 'a.coppice'), join(folder, 'a copy.coppice'), { recursive: true })
    await until(() => by('a copy') !== undefined)
    expect(by('a copy')!.problem).toMatchObject({ code: 'already-exists' })
    expect(library.get(machine.id)!.folder).toBe(join(folder, 'a.coppice'))
    await rm(join(folder, 'a.coppice'), { recursive: true })
    await until(() => library.get(machine.id)?.folder === join(folder, 'a copy.coppice'))
    expect(by('a')!.problem).toBeNull()
  })
})

describe('bundles elsewhere', () => {
  test('are opened, remembered, watched and forgotten; their files stay', async () => {
    const folder = await tempFolder()
    const elsewhere = await putBundle(join(await tempFolder(), 'x.coppice'), config('X'))
    const first = await open(folder)
    expect(await first.library.open(elsewhere)).toMatchObject({ name: 'X', inLibrary: false })
    await first.library.close()
    const second = await open(folder)
    expect(second.by('X')).toMatchObject({ folder: elsewhere, inLibrary: false })
    await writeFile(join(elsewhere, 'machine.json'), serialiseConfig(config('Y')))
    await second.until(() => second.by('Y') !== undefined)
    await second.library.forget(elsewhere)
    expect([...second.library.bundles()]).toEqual([])
    expect(await readdir(elsewhere)).toEqual(['machine.json'])
    await second.library.close()
    expect([...(await open(folder)).library.bundles()]).toEqual([])
  })

  test('that are not there now are shown so', async () => {
    const folder = await tempFolder()
    const elsewhere = await putBundle(join(await tempFolder(), 'x.coppice'), config('X'))
    const { library } = await open(folder)
    await library.open(elsewhere)
    await library.close()
    await rename(elsewhere, `${elsewhere}-away`)
    const next = await open(folder)
    expect(next.by('x')!.problem!.message).toContain('The bundle is not there now')
    await rename(`${elsewhere}-away`, elsewhere)
    await next.library.refresh(elsewhere)
    expect(next.by('X')!.problem).toBeNull()
  })

  test('that are none are refused', async () => {
    const { library } = await open(await tempFolder())
    await expect(library.open('/does/not/exist.coppice')).rejects.toMatchObject({ code: 'not-found' })
    await expect(library.open(await tempFolder())).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('a broken library.json is kept aside', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'library.json'), '{oops')
    const { log } = await open(folder)
    const kept = (await readdir(folder)).find((name) => name.startsWith('library.json.broken-'))
    expect(await readFile(join(folder, kept!), 'utf8')).toBe('{oops')
    expect(log.lines.join()).toContain('library.json cannot be read')
  })
})

describe('names', () => {
  test('are suggested free and valid', async () => {
    const folder = await tempFolder()
    await putBundle(join(folder, 'x.coppice'), config('Coppice Linux'))
    await putBundle(join(folder, 'broken.coppice'), '{')
    const { library } = await open(folder)
    expect(library.suggestName('Debian')).toBe('Debian')
    expect(library.suggestName('coppice linux')).toBe('coppice linux 2')
    expect(library.suggestName('broken')).toBe('broken 2')
    expect(library.suggestName('../../etc\u0007/passwd')).toBe('etc  passwd')
    expect(library.suggestName('con')).toBe('Machine')
    expect(library.suggestName('')).toBe('Machine')
    expect([...library.suggestName('🌳'.repeat(500))].length).toBeLessThanOrEqual(200)
  })

  test('are had once while their machines are made', async () => {
    const { library } = await open(await tempFolder())
    const release = library.claimName('a')
    expect(() => library.claimName('A')).toThrow('There is already a machine named “A”. Choose another name.')
    expect(library.suggestName('a')).toBe('a 2')
    release()
    library.claimName('A')
  })

  test('find a free folder, also where something else has it, and however long they are', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'a.coppice'), 'a file')
    const long = '🌳'.repeat(200)
    const { library } = await open(folder)
    expect(await library.freeFolder('A')).toBe(join(folder, 'A 2.coppice'))
    for (let n = 0; n < 3; n++) await mkdir(await library.freeFolder(long))
    expect(await readdir(folder)).toHaveLength(4)
  })
})

test('writing machine.json replaces a link in its place, and follows none', async () => {
  const folder = await tempFolder()
  const outside = join(await tempFolder(), 'precious')
  await writeFile(outside, 'precious')
  const machine = config('a')
  const bundle = await putBundle(join(folder, 'a.coppice'), machine)
  const { library } = await open(folder)
  await rm(join(bundle, 'machine.json'))
  await link(outside, join(bundle, 'machine.json'))
  await library.writeConfig(bundle, machine)
  expect(await readFile(outside, 'utf8')).toBe('precious')
  await rm(join(bundle, 'machine.json'))
  await symlink(outside, join(bundle, 'machine.json'))
  expect(await library.writeConfig(bundle, { ...machine, notes: 'n' })).toMatchObject({ config: { notes: 'n' } })
  expect(await readFile(outside, 'utf8')).toBe('precious')
})
