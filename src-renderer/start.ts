/** Connects to the host and puts the window on the page. */
import { mount } from 'svelte'
import App from './App.svelte'
import { dialPorts, dialWebSocket, inElectron } from './client/dial.ts'
import { HostLink } from './client/host-link.ts'
import { WindowState } from './state/window-state.svelte.ts'

const win = new WindowState(new HostLink(inElectron() ? dialPorts() : dialWebSocket()))
mount(App, { target: document.getElementById('app')!, props: { win } })
win.start()
