/** Puts the window on the page and connects it to the host. */
import { mount } from 'svelte'
import App from './App.svelte'
import { HostLink, type Dial } from './client/host-link.ts'
import { WindowState } from './state/window-state.svelte.ts'

export function start(dial: Dial): void {
  const win = new WindowState(new HostLink(dial))
  mount(App, { target: document.getElementById('app')!, props: { win } })
  win.start()
}
