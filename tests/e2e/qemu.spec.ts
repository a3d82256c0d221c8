/** A machine on QEMU, as a person uses it: the same page, console, figures and power operations as on the embedded engine. */
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { expect, test } from './support.ts'

const BOOT_LIMIT_MS = 120_000

test('New machine, shell, metrics, suspend, resume, shut down', async ({ workstation }) => {
  test.skip(!QEMU_PROGRAM, 'There is no QEMU here.')
  test.setTimeout(400_000)
  const dialog = await workstation.newMachine()
  await dialog.fill('Name', 'on qemu')
  await dialog.pick('Engine', 'QEMU')
  await dialog.pick('Processors', '2')
  await dialog.create.click()

  const machine = workstation.machine('on qemu')
  await machine.expectState('Running', 300_000)
  await expect(machine.engine).toHaveText(/^QEMU · /)
  await machine.expectConsole(/# *$/m, BOOT_LIMIT_MS)
  await machine.type('echo "$(nproc) of $(uname -m)"; kept="still $((6*7))"\n')
  await machine.expectConsole(/^2 of x86_64/m)

  const metrics = await machine.tab('Metrics')
  await expect(metrics.getByRole('figure', { name: 'Processor' }).first()).toContainText(/\d ?%/)

  await machine.tab('Console')
  await machine.power('Suspend').click()
  await machine.expectState('Suspended', 60_000)
  await machine.power('Resume').click()
  await machine.expectState('Running', 60_000)
  await machine.type('echo "kept: $kept"\n')
  await machine.expectConsole(/^kept: still 42/m)

  await machine.power('Shut down').click()
  await machine.expectState('Off', 60_000)
})
