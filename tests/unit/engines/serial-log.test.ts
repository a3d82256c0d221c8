import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { LOG_BYTES, SerialLog } from '../../../src-main/engines/serial-log.ts'
import { ByteLog } from '../../../src-shared/base/byte-log.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const MiB = 1024 * 1024

afterEach(() => void vi.restoreAllMocks())

async function logIn(bundle: string) {
  const path = join(bundle, 'logs', 'serial0.log')
  const bytes = new ByteLog(MiB)
  const log = new SerialLog(path, bytes)
  const print = async (text: string): Promise<void> => {
    bytes.append(utf8(text))
    log.more()
    await log.drain()
  }
  return { path, print }
}

test('makes its folder, goes on with an earlier life’s file, and puts a full one aside', async () => {
  const bundle = await tempFolder()
  const first = await logIn(bundle)
  await first.print('one\n')
  const second = await logIn(bundle)
  await second.print('two\n')
  expect(await readFile(second.path, 'utf8')).toBe('one\ntwo\n')
  await writeFile(second.path, new Uint8Array(LOG_BYTES - 4))
  const third = await logIn(bundle)
  await third.print('more')
  await third.print('three\n')
  expect(await readFile(third.path, 'utf8')).toBe('three\n')
  expect((await readFile(`${third.path}.1`)).length).toBe(LOG_BYTES)
})

test('goes on where it was when the file can be written again', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  const bundle = await tempFolder()
  const log = await logIn(bundle)
  await mkdir(log.path, { recursive: true }) // a folder in the way
  await log.print('one\n')
  await log.print('two\n')
  await rm(log.path, { recursive: true })
  await log.print('three\n')
  expect(await readFile(log.path, 'utf8')).toBe('one\ntwo\nthree\n')
})

test.each([
  ['before its first line', false],
  ['between two lines', true],
])('does not bring back a bundle that was deleted %s, and says once that it ended', async (_when, printed) => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {})
  const library = await tempFolder()
  const bundle = join(library, 'a.coppice')
  await mkdir(bundle)
  const log = await logIn(bundle)
  if (printed) await log.print('one\n')
  await rm(bundle, { recursive: true })
  await log.print('two\n')
  await log.print('three\n')
  expect(await readdir(library)).toEqual([])
  expect(said.mock.calls.map(String)).toEqual([
    `Writing the serial log “${log.path}” (${printed ? log.path : join(bundle, 'logs')}) failed: the file or folder does not exist.`,
  ])
})
