/** Devices of a machine that runs: the window changes them, the guest sees it. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fakeIso } from '../integration/machines/support/fake-files.ts'
import { expect, test } from './support.ts'

const BOOT_LIMIT_MS = 120_000
const SECTOR = 2048
const SECTORS = 40

/** A CD that says so in its last sector. */
function cd(text: string): Uint8Array {
  const bytes = new Uint8Array(fakeIso(SECTORS))
  bytes.set(new TextEncoder().encode(text), (SECTORS - 1) * SECTOR)
  return bytes
}

test('a CD is inserted, changed and ejected while the machine runs', async ({ workstation, served }) => {
  test.setTimeout(400_000)
  await writeFile(path.join(served.library, 'first.iso'), cd('the first'))
  await writeFile(path.join(served.library, 'second.iso'), cd('the other'))

  const dialog = await workstation.newMachine()
  await dialog.pick('Engine', 'Embedded')
  await dialog.dontStart()
  await dialog.create.click()
  const machine = workstation.machine('Coppice Linux')
  await machine.expectState('Off', 300_000)
  const hardware = await machine.tab('Hardware')
  await hardware.getByRole('button', { name: 'Add device' }).click()
  await workstation.page.getByRole('menuitem', { name: 'CD drive' }).click()
  await hardware.getByRole('button', { name: 'Save' }).click()
  await expect(workstation.toast('is saved')).toBeVisible()
  await machine.tab('Console')
  await machine.startButton.click()
  await machine.expectState('Running', 60_000)
  await machine.expectConsole(/# *$/m, BOOT_LIMIT_MS)

  const read = `dd if=/dev/sr0 bs=${SECTOR} skip=${SECTORS - 1} count=1 2> /dev/null | head -c 9`
  const sees = async (text: string): Promise<void> => {
    await machine.type(`until [ "$(${read})" = "${text}" ]; do sleep 0.1; done; echo "I see: $(${read})"\n`)
    await machine.expectConsole(new RegExp(`^I see: ${text}`, 'm'))
  }
  await machine.media('Insert CD…')
  await machine.chooseFile(served.library, 'first.iso', 'Insert')
  await sees('the first')
  await machine.media('Change CD…')
  await machine.chooseFile(served.library, 'second.iso', 'Insert')
  await sees('the other')

  await machine.tab('Display')
  await machine.media('Eject second.iso', 'Display')
  await machine.tab('Console')
  await machine.type('while head -c 1 /dev/sr0 > /dev/null 2>&1; do sleep 0.1; done; echo "No more CD: $((6*7))."\n')
  await machine.expectConsole(/^No more CD: 42\.$/m)

  await machine.stopBy('Power off…', 'Power off')
  await machine.expectState('Off', 60_000)
})
