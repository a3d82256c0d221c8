/** The page "Networks": its map, and the details beside it. */
import { expect, type Locator, type Page } from '@playwright/test'

export class NetworkMap {
  readonly #page: Page
  readonly details: Locator

  constructor(page: Page) {
    this.#page = page
    this.details = page.getByRole('complementary', { name: 'Details' })
  }

  async open(): Promise<void> {
    await this.#page.getByRole('navigation', { name: 'Library' }).getByRole('button', { name: 'Networks' }).click()
    await this.tab('Map')
  }

  async tab(name: 'Map' | 'Packets' | RegExp): Promise<void> {
    await this.#page.getByRole('tab', { name }).click()
  }

  /** "Network lab", "Router router-1", "web", and a link: "web, nic0". */
  thing(name: string): Locator {
    return this.#page.getByRole('group', { name, exact: true })
  }

  async newNetwork(name: string, kind: string): Promise<void> {
    await this.#page.getByRole('button', { name: 'New network…' }).click()
    const dialog = this.#page.getByRole('dialog')
    await dialog.getByRole('textbox', { name: 'Name' }).fill(name)
    await dialog.getByRole('combobox', { name: 'Kind' }).click()
    await this.#page.getByRole('option', { name: new RegExp(`^${kind}`) }).click()
    await dialog.getByRole('button', { name: 'Create network' }).click()
    await expect(this.thing(`Network ${name}`)).toBeVisible()
  }

  async newRouter(...networks: readonly string[]): Promise<void> {
    await this.#page.getByRole('button', { name: 'New router…' }).click()
    const dialog = this.#page.getByRole('dialog')
    for (const name of networks) await dialog.getByRole('checkbox', { name }).click()
    await dialog.getByRole('button', { name: 'Create router' }).click()
    await expect(dialog).toBeHidden()
  }

  /** With the mouse, from its card to the network. */
  async drawLink(machine: string, network: string): Promise<void> {
    await this.#page.getByRole('button', { name: 'Show everything' }).click()
    const from = await middle(this.thing(machine).locator('.svelte-flow__handle'))
    const to = await middle(this.thing(`Network ${network}`).locator('.svelte-flow__handle-bottom'))
    const { mouse } = this.#page
    await mouse.move(from.x, from.y)
    await mouse.down()
    await mouse.move((from.x + to.x) / 2, (from.y + to.y) / 2, { steps: 4 })
    await mouse.move(to.x, to.y, { steps: 4 })
    await mouse.up()
    await expect(this.thing(`${machine}, nic0`)).toBeAttached()
  }

  /** Chooses the card's link: its figures, capture and impairments. */
  async chooseLink(machine: string): Promise<void> {
    await this.thing(`${machine}, nic0`).focus()
    await this.#page.keyboard.press('Enter')
    await expect(this.details.getByRole('heading', { name: machine })).toBeVisible()
  }
}

async function middle(thing: Locator): Promise<{ x: number; y: number }> {
  const box = await thing.boundingBox()
  if (!box) throw new Error('What should be dragged is not there.')
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 }
}
