/** The dialog "New machine". */
import { expect, type Locator, type Page } from '@playwright/test'

export class NewMachineDialog {
  readonly #page: Page
  readonly root: Locator

  constructor(page: Page) {
    this.#page = page
    this.root = page.getByRole('dialog', { name: 'New machine' })
  }

  async choose(source: 'Coppice Linux' | 'ISO image' | 'Disk image' | 'Kernel'): Promise<void> {
    await this.root.getByText(source, { exact: true }).first().click()
  }

  field(label: string): Locator {
    return this.root.getByRole('textbox', { name: label, exact: true })
  }

  async fill(label: string, text: string): Promise<void> {
    await this.field(label).fill(text)
  }

  /** One of a list: "Engine", "QEMU". */
  async pick(list: string, option: string): Promise<void> {
    await this.root.getByRole('combobox', { name: list }).click()
    await this.#page.getByRole('option', { name: new RegExp(`^${option}(\\s|$)`) }).click()
  }

  get create(): Locator {
    return this.root.getByRole('button', { name: 'Create', exact: true })
  }

  async dontStart(): Promise<void> {
    await this.root.getByRole('checkbox', { name: 'Start after creating' }).uncheck()
  }

  /** The error that stands at a field. */
  async expectFieldError(label: string, text: string | RegExp): Promise<void> {
    await expect(this.field(label)).toHaveAccessibleDescription(text)
  }

  async cancel(): Promise<void> {
    await this.root.getByRole('button', { name: 'Cancel' }).click()
    await expect(this.root).toBeHidden()
  }
}
