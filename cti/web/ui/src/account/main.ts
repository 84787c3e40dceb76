import Page from "./Page.svelte";
import { open } from "../open";

open(Page);
