package directives

//gracevet:ignore sigkill the fake delivers it

//gracevet:ignore sigkill // want "the reason is missing"

//gracevet:ignore the fake delivers it // want "no rule is named .the."
