/** One machine's page: its header with the power actions, and its tabs. */
import { expect, type Locator, type Page } from '@playwright/test'

export class MachinePage {
  readonly #page: Page
  readonly root: Locator

  constructor(page: Page, name: string) {
    this.#page = page
    this.root = page.getByRole('article', { name, exact: true })
  }

  async expectState(word: string, timeout?: number): Promise<void> {
    await expect(this.root.getByRole('banner').or(this.root.locator('header')).first()).toContainText(word, timeout ? { timeout } : {})
  }

  get startButton(): Locator {
    return this.power('Start')
  }

  power(name: string): Locator {
    return this.root.getByRole('toolbar', { name: 'Power and more' }).getByRole('button', { name, exact: true })
  }

  /** An entry of the menu beside "Shut down", with its question answered by `confirm`. */
  async stopBy(entry: string, confirm: string | null): Promise<void> {
    await this.power('More ways to stop').click()
    await this.#page.getByRole('menuitem', { name: entry }).click()
    if (confirm !== null) await this.#page.getByRole('alertdialog').getByRole('button', { name: confirm }).click()
  }

  async more(entry: string): Promise<void> {
    await this.power('More').click()
    await this.#page.getByRole('menuitem', { name: entry }).click()
  }

  async tab(name: 'Console' | 'Display' | 'Snapshots' | 'Metrics' | 'Hardware' | 'Notes'): Promise<Locator> {
    await this.root.getByRole('tab', { name }).click()
    return this.root.getByRole('tabpanel')
  }

  /** What runs it, as its header says. */
  get engine(): Locator {
    return this.root.getByRole('button', { name: /^Engine: / })
  }

  /** An entry of the menu of its CD drive, from its header or from its screen's tools. */
  async media(entry: string | RegExp, from: 'Power and more' | 'Display' = 'Power and more'): Promise<void> {
    await this.root.getByRole('toolbar', { name: from }).getByRole('button', { name: 'CD drive' }).click()
    await this.#page.getByRole('menuitem', { name: entry }).click()
  }

  /** Chooses a file in the picker that is open. */
  async chooseFile(folder: string, name: string, action: string): Promise<void> {
    const picker = this.#page.getByRole('dialog')
    const path = picker.getByRole('textbox', { name: 'Folder' })
    await path.fill(folder)
    // Faster than any hand: the dialog may be giving the focus to its filter only now.
    await path.press('Enter')
    const choose = picker.getByRole('button', { name: action, exact: true })
    // The folder may be listed anew meanwhile.
    await expect(async () => {
      await picker.getByRole('option').filter({ hasText: name }).click()
      await expect(choose).toBeVisible({ timeout: 500 })
    }).toPass()
    await choose.click()
    await expect(picker).toBeHidden()
  }

  get terminal(): Locator {
    return this.root.getByRole('textbox', { name: /^Console/ })
  }

  async type(text: string): Promise<void> {
    await this.terminal.focus()
    await this.#page.keyboard.type(text, { delay: 5 })
  }

  async press(keys: string): Promise<void> {
    await this.terminal.focus()
    await this.#page.keyboard.press(keys)
  }

  /** All that the console holds, read as a person would: select all, copy. */
  async consoleText(): Promise<string> {
    await this.root.locator('.xterm-screen').click({ button: 'right' })
    await this.#page.getByRole('menuitem', { name: 'Select all' }).click()
    await this.terminal.focus()
    await this.#page.keyboard.press('Control+Shift+C')
    return this.#page.evaluate(() => navigator.clipboard.readText())
  }

  async expectConsole(pattern: RegExp, timeout = 60_000): Promise<void> {
    await expect(async () => {
      expect(await this.consoleText()).toMatch(pattern)
    }).toPass({ timeout, intervals: [500] })
  }
}
