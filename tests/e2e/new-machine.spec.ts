/** Making machines from bad and good input: every error stands at its field, and nothing that was typed is lost. */
import { readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from './support.ts'

test('bad names, memory and files are told at their fields', async ({ workstation, served }) => {
  const empty = path.join(served.library, 'empty-kernel')
  await writeFile(empty, '')
  const dialog = await workstation.newMachine()
  await dialog.choose('Kernel')
  await dialog.fill('Kernel', empty)
  await dialog.fill('Name', '../escape')
  await dialog.create.click()
  await dialog.expectFieldError('Name', /“\/”/)
  await dialog.fill('Name', 'zero')
  await dialog.dontStart()
  await dialog.create.click()
  await dialog.expectFieldError('Kernel', /empty|0 bytes/i)
  await expect(dialog.field('Name')).toHaveValue('zero')
  await dialog.fill('Kernel', path.join(served.library, 'missing'))
  await dialog.create.click()
  await dialog.expectFieldError('Kernel', /is not there/)
  await dialog.cancel()
  expect((await readdir(served.library)).filter((name) => name.endsWith('.coppice'))).toEqual([])
})

test('an ISO with an empty disk becomes a machine with both drives', async ({ workstation, served, page }) => {
  const iso = path.join(served.library, 'system.iso')
  await writeFile(iso, Buffer.alloc(2048 * 32))
  const dialog = await workstation.newMachine()
  await dialog.choose('ISO image')
  await dialog.fill('ISO image', iso)
  await dialog.fill('Name', 'from iso')
  await dialog.dontStart()
  await dialog.create.click()
  const machine = workstation.machine('from iso')
  await machine.expectState('Off')
  const hardware = await machine.tab('Hardware')
  await expect(hardware).toContainText('CD')
  await expect(hardware).toContainText('Disk')
  await expect(page.getByRole('dialog')).toBeHidden()
})
