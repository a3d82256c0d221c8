import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { readJson } from '../../../../src-main/host/files/read-json.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

async function fileWith(content: string | Uint8Array): Promise<string> {
  const path = join(await tempFolder(), 'a.json')
  await writeFile(path, content)
  return path
}

describe('readJson', () => {
  test('gives the value', async () => {
    expect(await readJson(await fileWith('{"a":[1,"ü"]}'), 100)).toEqual({ a: [1, 'ü'] })
  })

  test('the limit is exact', async () => {
    const path = await fileWith('[1,2,3]')
    expect(await readJson(path, 7)).toEqual([1, 2, 3])
    await expect(readJson(path, 6)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('larger than the 6 B') as string,
    })
  })

  const bad: [string, string | Uint8Array, string][] = [
    ['nothing', '', 'is empty'],
    ['half an object', '{"a":', 'not valid JSON'],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 'not valid JSON'],
    ['zeroes, as a power cut leaves them', new Uint8Array(50), 'not valid JSON'],
  ]
  for (const [name, content, sentence] of bad) {
    test(`refuses ${name} in a sentence with the path`, async () => {
      const path = await fileWith(content)
      const refused = readJson(path, 100)
      await expect(refused).rejects.toMatchObject({ code: 'corrupt', details: { subject: path } })
      await expect(refused).rejects.toThrow(sentence)
      await expect(refused).rejects.toThrow(path)
    })
  }

  test('refuses a folder, a device and a missing file', async () => {
    const folder = await tempFolder()
    await mkdir(join(folder, 'd'))
    await expect(readJson(join(folder, 'd'), 100)).rejects.toMatchObject({ code: 'corrupt' })
    await expect(readJson('/dev/zero', 100)).rejects.toMatchObject({ code: 'corrupt' })
    await expect(readJson(join(folder, 'none'), 100)).rejects.toMatchObject({ code: 'not-found' })
  })

  test.skipIf(process.platform === 'win32')('refuses a named pipe at once, without waiting for a writer', async () => {
    const path = join(await tempFolder(), 'pipe')
    await promisify(execFile)('mkfifo', [path])
    await expect(readJson(path, 100)).rejects.toMatchObject({ code: 'corrupt' })
  })
})
