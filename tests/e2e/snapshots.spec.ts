/** Snapshots of a machine that runs, as a person takes them, goes back to them by keys and by mouse, deletes one, and clones one. */
import { expect, test } from './support.ts'

// Recording reads the pictures of snapshots again, which the page’s content policy forbids and the console tells as a fault.
test.use({ trace: 'off' })

const BOOT_LIMIT_MS = 120_000
const SNAPSHOT_LIMIT_MS = 60_000

test('take, change, go back, go forth again, delete, clone', async ({ workstation, page }) => {
  test.setTimeout(400_000)
  await workstation.createSampleButton.click()
  const machine = workstation.machine('Coppice Linux')
  await machine.expectState('Running', 300_000)
  await machine.expectConsole(/coppice[^\n]*# *$/m, BOOT_LIMIT_MS)
  await machine.type('kept=one\n')
  const card = (name: string) => page.getByRole('treeitem', { name: new RegExp(`^${name}`) })

  await machine.tab('Snapshots')
  await expect(page.getByText('No snapshots yet')).toBeVisible()
  await page.keyboard.press('ControlOrMeta+Shift+S')
  await page.keyboard.type('First')
  await page.keyboard.press('Enter')
  await expect(card('First')).toContainText('Was running', { timeout: SNAPSHOT_LIMIT_MS })
  // A picture that cannot be shown has no width.
  await expect
    .poll(() =>
      card('First')
        .locator('img')
        .evaluate((image: HTMLImageElement) => image.naturalWidth),
    )
    .toBeGreaterThan(300)
  await machine.expectState('Running', SNAPSHOT_LIMIT_MS)

  await machine.tab('Console')
  await machine.type('kept=two\n')
  await machine.tab('Snapshots')
  await card('You are here').click()
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('ControlOrMeta+Enter')
  await expect(page.getByRole('dialog', { name: 'Restore “First”?' })).toBeVisible()
  await page.keyboard.press('Enter')
  await expect(card('You are here')).toContainText('since “First”', { timeout: SNAPSHOT_LIMIT_MS })
  await expect(card('Before First')).toHaveAttribute('aria-level', '2', { timeout: SNAPSHOT_LIMIT_MS })
  await expect(page.getByRole('tree', { name: 'Snapshots of Coppice Linux' }).getByRole('progressbar')).toHaveCount(0, {
    timeout: SNAPSHOT_LIMIT_MS,
  })
  await machine.expectState('Running', SNAPSHOT_LIMIT_MS)
  await machine.tab('Console')
  await machine.type('echo "it is $kept"\n')
  await machine.expectConsole(/^it is one/m)

  await machine.tab('Snapshots')
  await card('Before First').click({ button: 'right' })
  await page.getByRole('menuitem', { name: 'Restore…' }).click()
  await page.getByRole('checkbox', { name: 'Keep where I am first' }).uncheck()
  await page.getByRole('button', { name: 'Restore', exact: true }).click()
  await expect(card('You are here')).toContainText('since “Before First”', { timeout: SNAPSHOT_LIMIT_MS })
  await machine.expectState('Running', SNAPSHOT_LIMIT_MS)
  await machine.tab('Console')
  await machine.type('echo "now it is $kept"\n')
  await machine.expectConsole(/^now it is two/m)

  await machine.tab('Snapshots')
  await card('First').click()
  await page.keyboard.press('Delete')
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await expect(card('First')).toBeHidden({ timeout: SNAPSHOT_LIMIT_MS })
  await expect(card('Before First')).toHaveAttribute('aria-level', '1')

  await card('Before First').click({ button: 'right' })
  await page.getByRole('menuitem', { name: 'Clone…' }).click()
  await page.getByRole('button', { name: 'Clone', exact: true }).click()
  await workstation.machine('Coppice Linux 2').expectState('Off', SNAPSHOT_LIMIT_MS)
})
