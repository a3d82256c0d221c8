import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SettingsService } from '../../../../src-main/host/settings/settings-service.ts'
import type { Settings } from '../../../../src-shared/api/settings.ts'
import { memoryLog } from '../../../support/memory-log.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const call = { signal: new AbortController().signal, peer: { kind: 'test' } } as const

async function open(content?: string) {
  const folder = await tempFolder()
  const file = join(folder, 'settings.json')
  if (content !== undefined) await writeFile(file, content)
  const log = memoryLog()
  return { folder, file, log, service: await SettingsService.open(file, log) }
}

describe('SettingsService', () => {
  test('no file means the defaults, and none is written', async () => {
    const { folder, service, log } = await open()
    expect(service.current).toMatchObject({ theme: 'system', defaultMemoryMiB: 256 })
    expect(await readdir(folder)).toEqual([])
    expect(log.lines).toEqual([])
  })

  test('a change of one field keeps the others, is on disk and is told', async () => {
    const { file, service, log } = await open('{"consoleFontSize":20}')
    const told: Settings[] = []
    service.onChanged((value) => told.push(value))
    const value = await service.handlers.set({ theme: 'dark' }, call)
    expect(value).toMatchObject({ theme: 'dark', consoleFontSize: 20 })
    expect(told).toEqual([value])
    expect((await SettingsService.open(file, log)).current).toEqual(value)
  })

  test('changes at once are all kept', async () => {
    const { file, service } = await open()
    await Promise.all([
      service.handlers.set({ theme: 'light' }, call),
      service.handlers.set({ consoleFontSize: 9 }, call),
      service.handlers.set({ copyOnSelect: true }, call),
    ])
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ theme: 'light', consoleFontSize: 9, copyOnSelect: true })
  })

  for (const [name, content, kept] of [
    ['a wrong and an unknown field', '{"theme":"pink","consoleFontSize":20,"colour":1}', { theme: 'system', consoleFontSize: 20 }],
    ['half a file', '{"theme":"da', { theme: 'system' }],
    ['a list', '[]', { theme: 'system' }],
  ] as const) {
    test(`${name}: kept aside, said in the log, what is valid still holds`, async () => {
      const { folder, file, log, service } = await open(content)
      expect(service.current).toMatchObject(kept)
      const aside = (await readdir(folder)).filter((entry) => entry.startsWith('settings.json.broken-'))
      expect(aside).toHaveLength(1)
      expect(await readFile(join(folder, aside[0]!), 'utf8')).toBe(content)
      expect(log.lines.join('\n')).toContain(aside[0])
      expect(service.problem).toMatchObject({ code: 'corrupt', message: expect.stringContaining(aside[0]!) as string })
      expect((await SettingsService.open(file, log)).problem).toBeNull()
      expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject(kept)
    })
  }

  test('what cannot be written changes nothing', async () => {
    const { folder, file, service } = await open()
    await mkdir(file) // a folder in the way: rename over it fails
    await chmod(folder, 0o700)
    const told: Settings[] = []
    service.onChanged((value) => told.push(value))
    await expect(service.handlers.set({ theme: 'dark' }, call)).rejects.toMatchObject({ message: expect.stringContaining(file) as string })
    expect(service.current.theme).toBe('system')
    expect(told).toEqual([])
    await expect(service.handlers.set({ theme: 'dark' }, call)).rejects.toBeDefined()
  })
})
