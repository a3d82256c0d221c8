/** The disks of a machine in the built window, with a real host: one more disk, another size, compacting and checking. */
import { open } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from './support.ts'

const MiB = 1024 * 1024

test.use({
  library: {
    prepare: async (folder: string) => {
      // Bytes that nobody has written: a disk that is there.
      const file = await open(path.join(folder, 'data.img'), 'w')
      await file.write(new Uint8Array(MiB).fill(7), 0, MiB, MiB)
      await file.truncate(16 * MiB)
      await file.close()
    },
  },
})

test('disks are added, resized, compacted, checked and put into an order', async ({ workstation, served }) => {
  test.setTimeout(400_000)
  const { page } = workstation
  const dialog = await workstation.newMachine()
  await dialog.pick('Engine', 'Embedded')
  await dialog.dontStart()
  await dialog.create.click()
  const machine = workstation.machine('Coppice Linux')
  await machine.expectState('Off', 300_000)
  const hardware = await machine.tab('Hardware')
  const add = async (): Promise<void> => {
    await hardware.getByRole('button', { name: 'Add device' }).click()
    await page.getByRole('menuitem', { name: 'Disk', exact: true }).click()
  }

  await add()
  await page.getByRole('textbox', { name: 'Size' }).fill('64 MiB')
  await page.getByRole('button', { name: 'Make the disk' }).click()
  await expect(hardware.getByText(/^\d+ KiB of 64 MiB used$/)).toBeVisible()

  await hardware.getByRole('button', { name: 'Resize…' }).click()
  await page.getByRole('textbox', { name: 'Size' }).fill('96 MiB')
  await page.getByRole('button', { name: 'Make larger' }).click()
  await expect(workstation.toast('has 96 MiB now')).toBeVisible()
  await expect(hardware.getByText(/of 96 MiB used$/)).toBeVisible()

  await hardware.getByRole('button', { name: 'Compact' }).click()
  await expect(workstation.toast(/given back|nothing to give back/)).toBeVisible()
  await hardware.getByRole('button', { name: 'Check' }).click()
  await expect(workstation.toast('No errors were found.')).toBeVisible()

  await add()
  await page.getByRole('combobox', { name: 'What it is' }).click()
  await page.getByRole('option', { name: /An image that is there/ }).click()
  await page.getByRole('textbox', { name: 'Image', exact: true }).fill(path.join(served.library, 'data.img'))
  await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click()
  await hardware.getByRole('button', { name: 'Earlier' }).click()
  await hardware.getByRole('button', { name: 'Save' }).click()
  await expect(workstation.toast('is saved')).toBeVisible()
  await expect(hardware.getByRole('button', { name: 'Disk 1 16 MiB, 1 MiB used' })).toBeVisible()
  await expect(hardware.getByText('1 MiB of 16 MiB used')).toBeVisible()

  // What this engine has not says so in the list.
  await hardware.getByRole('combobox', { name: 'Plugged into' }).click()
  await expect(page.getByRole('option', { name: /NVMe/ })).toHaveAttribute('aria-disabled', 'true')
  await expect(page.getByRole('option', { name: /NVMe/ })).toContainText('The embedded engine has IDE disks')
})
