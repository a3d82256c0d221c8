/** Nodes and edges of the drawing, with what they show. */
import type { Edge, Node } from '@xyflow/svelte'
import type { MapLink, MapThing } from './map-model.ts'
import type { Route } from './map-routes.ts'

type NodeOf<Kind extends MapThing['kind']> = Node<{ thing: Extract<MapThing, { kind: Kind }> }, Kind>
export type MachineFlowNode = NodeOf<'machine'>
export type NetworkFlowNode = NodeOf<'network'>
export type RouterFlowNode = NodeOf<'router'>
export type OutsideFlowNode = NodeOf<'outside'>
export type MapNode = MachineFlowNode | NetworkFlowNode | RouterFlowNode | OutsideFlowNode
export type MapEdge = Edge<{ link: MapLink; route: Route | null }, 'link'>
