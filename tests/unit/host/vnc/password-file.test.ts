import { chmod, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readVncPassword, writeVncPassword } from '../../../../src-main/host/vnc/password-file.ts'
import { newVncPassword, vncPasswordSchema } from '../../../../src-shared/model/vnc.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const posix = process.platform !== 'win32'
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

test('keeps it, for its owner alone, also over a file that others could read', async () => {
  const bundle = await tempFolder()
  const path = join(bundle, 'vnc-password')
  expect(await readVncPassword(bundle)).toBeNull()
  await writeVncPassword(bundle, 'secret12')
  expect(await readVncPassword(bundle)).toBe('secret12')
  if (posix) expect(await modeOf(path)).toBe(0o600)
  await chmod(path, 0o644)
  await writeVncPassword(bundle, 'another1')
  expect(await readFile(path, 'utf8')).toBe('another1\n')
  if (posix) expect(await modeOf(path)).toBe(0o600)
})

test.skipIf(!posix)('a file that others could read is closed to them when it is read', async () => {
  const bundle = await tempFolder()
  await writeFile(join(bundle, 'vnc-password'), 'secret12\n', { mode: 0o644 })
  expect(await readVncPassword(bundle)).toBe('secret12')
  expect(await modeOf(join(bundle, 'vnc-password'))).toBe(0o600)
})

test('is refused where it is a link, or no password', async () => {
  const bundle = await tempFolder()
  const path = join(bundle, 'vnc-password')
  await writeFile(join(bundle, 'elsewhere'), 'secret12\n', { mode: 0o600 })
  if (posix) {
    await symlink(join(bundle, 'elsewhere'), path)
    await expect(readVncPassword(bundle)).rejects.toMatchObject({ code: 'denied' })
  }
  const other = await tempFolder()
  for (const wrong of ['', 'short\n', 'much too long\n', 'x'.repeat(1000)]) {
    await writeFile(join(other, 'vnc-password'), wrong, { mode: 0o600 })
    await expect(readVncPassword(other)).rejects.toMatchObject({ code: 'corrupt' })
  }
})

test('passwords have six to eight characters of a keyboard; what refuses one does not tell it', () => {
  for (const right of ['secret', 'Secret1!', newVncPassword()]) expect(vncPasswordSchema.parse(right)).toBe(right)
  for (const wrong of ['short', 'secret123', 'two words', 'schön1', '']) {
    const { error } = vncPasswordSchema.safeParse(wrong)
    expect(error, wrong).toBeDefined()
    if (wrong !== '') expect(error!.message).not.toContain(wrong)
  }
  expect(newVncPassword()).not.toBe(newVncPassword())
})
