/** From an empty library to a machine that was used, suspended, resumed and shut down: the product's main job, as a person does it. */
import { expect, test } from './support.ts'

const BOOT_LIMIT_MS = 120_000

test('welcome, Coppice Linux, shell, metrics, suspend, resume, shut down', async ({ workstation, page }) => {
  test.setTimeout(400_000)
  await expect(workstation.createSampleButton).toBeVisible()
  await workstation.createSampleButton.click()

  const machine = workstation.machine('Coppice Linux')
  await machine.expectState('Running', 300_000)
  await machine.expectConsole(/coppice[^\n]*# *$/m, BOOT_LIMIT_MS)

  await machine.type('uname -a\n')
  await machine.expectConsole(/^Linux \S+ 6\.\S+.* i686 GNU\/Linux/m)

  await machine.type('kept="still $((6*7))"\n')
  const metrics = await machine.tab('Metrics')
  const processor = metrics.getByRole('figure', { name: 'Processor' }).first()
  await expect(processor, 'an idle guest rests').toContainText(/Guest halted\s*[89]\d(\.\d+)? ?%/, { timeout: 60_000 })
  await machine.tab('Console')
  await machine.type('while :; do :; done\n')
  await machine.tab('Metrics')
  await expect(processor, 'a loop in the guest keeps it from resting').toContainText(/Guest halted\s*0 ?%/)

  await machine.tab('Console')
  await machine.press('Control+C')
  await machine.power('Suspend').click()
  await machine.expectState('Suspended', 60_000)
  await expect(workstation.row('Coppice Linux')).toContainText('Suspended')

  await page.reload()
  await machine.power('Resume').click()
  await machine.expectState('Running', 60_000)
  await machine.type('echo "kept: $kept"\n')
  await machine.expectConsole(/^kept: still 42/m)

  await machine.power('Shut down').click()
  await machine.expectState('Off', 60_000)
  await machine.expectConsole(/^kept: still 42/m)
})

test('the guest’s own poweroff and reboot are seen', async ({ workstation }) => {
  test.setTimeout(400_000)
  await workstation.createSampleButton.click()
  const machine = workstation.machine('Coppice Linux')
  await machine.expectState('Running', 300_000)
  await machine.expectConsole(/# *$/m, BOOT_LIMIT_MS)
  await machine.type('before=1; reboot\n')
  await machine.expectConsole(/reboot[\s\S]*Welcome[\s\S]*# *$/m, BOOT_LIMIT_MS)
  await machine.type('echo "before is ${before:-gone}"\n')
  await machine.expectConsole(/^before is gone/m)
  await machine.type('poweroff\n')
  await machine.expectState('Off', 60_000)
})
