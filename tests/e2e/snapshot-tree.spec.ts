/** A machine with twelve snapshots in two branches, and the trials of one: by keys and by mouse. What takes long to click together is made by the command line. */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Page } from '@playwright/test'
import { expect, test } from './support.ts'

// Recording reads the pictures of snapshots again, which the page’s content policy forbids and the console tells as a fault.
test.use({ trace: 'off' })

const COPPICE = path.resolve(import.meta.dirname, '../../bin/coppice')
const WORK_LIMIT_MS = 60_000
const LONG = 'The database’s schema was migrated to version 42, by somebody who wants to be exact about it'

/** Runs commands, one after the other. */
async function coppice(library: string, commands: readonly string[][]): Promise<void> {
  for (const command of commands) await promisify(execFile)(COPPICE, ['--library', library, ...command])
}

const card = (page: Page, name: string) => page.getByRole('treeitem', { name: new RegExp(`^${name}`) })
const here = (page: Page) => card(page, 'You are here')
const chosen = (page: Page) => page.getByRole('tree', { name: /^Snapshots of/ }).locator('[aria-selected=true]')

test('twelve snapshots in two branches', async ({ workstation, page, served: { library } }) => {
  test.setTimeout(400_000)
  const take = (label: string): string[] => ['snapshot', 'take', 'web-1', label]
  await coppice(library, [
    ['create', 'web-1', '--sample'],
    ['start', 'web-1', '--wait'],
    ...['Base', 'Packages', LONG, 'Load 1', 'Load 2'].map(take),
    ['stop', 'web-1', '--force'],
    ...['Left 1', 'Left 2'].map(take),
    ['snapshot', 'restore', 'web-1', 'Packages'],
    ['stop', 'web-1', '--force'],
    ...['Right 1', 'Right 2', 'Right 3', 'Right 4', 'Right 5'].map(take),
  ])
  const machine = await workstation.open('web-1')
  await machine.tab('Snapshots')
  await expect(page.getByRole('treeitem', { name: /Was (off|running)/ })).toHaveCount(12)
  // A long tree opens where the machine is.
  await expect(here(page)).toBeInViewport()
  await expect(card(page, 'Base')).toHaveAttribute('aria-level', '1')
  await expect(card(page, LONG.slice(0, 20))).toHaveAttribute('aria-setsize', '2')

  // By keys: up to the fork, into the other branch, down to its end.
  await here(page).click()
  await page.keyboard.press('Home')
  await expect(chosen(page)).toContainText('Base')
  await expect(card(page, 'Base')).toBeInViewport()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  await expect(chosen(page)).toContainText('Right 1')
  await page.keyboard.press('ArrowLeft')
  await expect(chosen(page)).toContainText(LONG)
  // All of a long name is beside the tree.
  await expect(page.getByRole('complementary', { name: 'Details' }).getByRole('heading')).toHaveText(LONG)
  for (const name of ['Load 1', 'Load 2', 'Left 1', 'Left 2']) {
    await page.keyboard.press('ArrowDown')
    await expect(chosen(page)).toContainText(name)
    await expect(chosen(page)).toBeFocused()
  }
  await page.keyboard.press('Shift+F10')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('dialog', { name: 'Restore “Left 2”?' })).toBeVisible()
  await page.keyboard.press('Space')
  await page.keyboard.press('Enter')
  await expect(here(page)).toContainText('since “Left 2”', { timeout: WORK_LIMIT_MS })
  await expect(chosen(page)).toBeFocused()

  // A branch off the middle of the other one, by mouse.
  await card(page, 'Right 2').click({ button: 'right' })
  await page.getByRole('menuitem', { name: 'Restore…' }).click()
  await page.getByRole('checkbox', { name: 'Keep where I am first' }).uncheck()
  await page.getByRole('button', { name: 'Restore', exact: true }).click()
  await expect(here(page)).toContainText('since “Right 2”', { timeout: WORK_LIMIT_MS })
  await page.getByRole('button', { name: 'Take snapshot…' }).first().click()
  await page.keyboard.type('Branch')
  await page.keyboard.press('Enter')
  await expect(card(page, 'Branch')).toHaveAttribute('aria-posinset', '2', { timeout: WORK_LIMIT_MS })
  await expect(here(page)).toContainText('since “Branch”')

  // Renamed and deleted, by keys.
  await card(page, 'Right 4').click()
  await page.keyboard.press('F2')
  await page.keyboard.type(`${LONG.slice(0, 90)}, again`)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('dialog')).toBeHidden()
  await expect(chosen(page)).toContainText(', again')
  await page.keyboard.press('Delete')
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).press('Enter')
  await expect(page.getByRole('treeitem', { name: /, again/ })).toBeHidden({ timeout: WORK_LIMIT_MS })
  await expect(chosen(page)).toContainText('Right 3')
  await expect(card(page, 'Right 5')).toHaveAttribute('aria-level', '6')
  await page.getByRole('button', { name: 'Show where you are' }).click()
  await expect(here(page)).toBeInViewport()
})

test('a trial is started, and decided about at its end', async ({ workstation, page, served: { library } }) => {
  test.setTimeout(300_000)
  await coppice(library, [['create', 'web-1', '--sample']])
  const machine = await workstation.open('web-1')
  await machine.power('More ways to start').click()
  await page.getByRole('menuitem', { name: 'Start, decide afterwards' }).click()
  const trial = page.getByLabel('Trial', { exact: true })
  await expect(trial).toContainText('This run is a trial', { timeout: WORK_LIMIT_MS })
  await machine.expectState('Running', WORK_LIMIT_MS)
  await machine.stopBy('Power off…', 'Power off')
  await expect(trial).toContainText('What becomes of what it did', { timeout: WORK_LIMIT_MS })
  await expect(workstation.row('web-1')).toContainText('Undecided')
  await trial.getByRole('button', { name: 'Keep as a branch…' }).click()
  await page.keyboard.type('Tried')
  await page.keyboard.press('Enter')
  await expect(trial).toBeHidden({ timeout: WORK_LIMIT_MS })
  await machine.tab('Snapshots')
  await expect(card(page, 'Tried')).toHaveAttribute('aria-level', '1')
  await expect(page.getByRole('treeitem', { name: /^Trial/ })).toHaveCount(0)
})
