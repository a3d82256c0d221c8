/** The window as a person sees it: the library on the left, a page on the right. */
import { expect, type Locator, type Page } from '@playwright/test'
import { MachinePage } from './machine-page.ts'
import { NewMachineDialog } from './new-machine-dialog.ts'

export class Workstation {
  readonly page: Page
  readonly library: Locator

  constructor(page: Page) {
    this.page = page
    this.library = page.getByRole('navigation', { name: 'Library' })
  }

  /** The big button of the empty library. */
  get createSampleButton(): Locator {
    return this.page.getByRole('main').getByRole('button', { name: 'Create Coppice Linux' })
  }

  row(name: string): Locator {
    return this.library.getByRole('treeitem', { name: new RegExp(`^${escape(name)}`) })
  }

  async open(name: string): Promise<MachinePage> {
    await this.row(name).click()
    return this.machine(name)
  }

  machine(name: string): MachinePage {
    return new MachinePage(this.page, name)
  }

  async newMachine(): Promise<NewMachineDialog> {
    await this.library.getByRole('button', { name: 'New machine…' }).click()
    return new NewMachineDialog(this.page)
  }

  /** Runs an action by name through the command palette. */
  async command(name: string): Promise<void> {
    await this.page.keyboard.press('ControlOrMeta+K')
    const palette = this.page.getByRole('dialog', { name: 'Commands' })
    await palette.getByRole('combobox').fill(name)
    await palette.getByRole('option').first().click()
    await expect(palette).toBeHidden()
  }

  async goTo(page: 'Activity' | 'Doctor' | 'Settings'): Promise<void> {
    await this.library.getByRole('button', { name: page }).click()
    await expect(this.page.getByRole('main').getByRole('heading', { name: page, level: 1 })).toBeVisible()
  }

  toast(text: string | RegExp): Locator {
    return this.page.getByRole('status').filter({ hasText: text })
  }
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
