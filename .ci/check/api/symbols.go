package main

import (
	"fmt"
	"go/types"
)

// symbols lists what a package exports, one line for each constant, variable, function, type, field
// and method, so that every line of a change is a change of the API.
func symbols(pkg *types.Package) (lines []string) {
	in := func(other *types.Package) string {
		if other == pkg {
			return ""
		}
		return other.Name()
	}
	for _, name := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		switch object := object.(type) {
		case *types.Const:
			lines = append(lines, fmt.Sprintf("const %s %s = %s", name, types.TypeString(object.Type(), in), object.Val().ExactString()))
		case *types.TypeName:
			lines = append(lines, typeSymbols(object, in)...)
		default: // functions and variables
			lines = append(lines, types.ObjectString(object, in))
		}
	}
	return lines
}

func typeSymbols(object *types.TypeName, in types.Qualifier) (lines []string) {
	if object.IsAlias() {
		return []string{types.ObjectString(object, in)}
	}
	named := object.Type().(*types.Named)
	name := types.TypeString(named, in)
	if params := named.TypeParams(); params.Len() > 0 {
		name += " with constraint"
		for param := range params.TypeParams() {
			name += " " + types.TypeString(param.Constraint(), in)
		}
	}
	own := "type " + object.Name()
	switch underlying := named.Underlying().(type) {
	case *types.Struct:
		lines = append(lines, "type "+name+" struct")
		for i := range underlying.NumFields() {
			field := underlying.Field(i)
			if !field.Exported() {
				continue
			}
			line := fmt.Sprintf("%s struct, %s %s", own, field.Name(), types.TypeString(field.Type(), in))
			if tag := underlying.Tag(i); tag != "" {
				line += " `" + tag + "`"
			}
			lines = append(lines, line)
		}
	case *types.Interface:
		lines = append(lines, "type "+name+" interface")
		sealed := false
		for method := range underlying.Methods() {
			if !method.Exported() {
				sealed = true
				continue
			}
			lines = append(lines, fmt.Sprintf("%s interface, %s%s", own, method.Name(), signature(method, in)))
		}
		if sealed {
			lines = append(lines, own+" interface, methods that are not exported: nobody else can implement it")
		}
		return lines
	default:
		lines = append(lines, fmt.Sprintf("type %s %s", name, types.TypeString(underlying, in)))
	}
	return append(lines, methods(object, named, in)...)
}

// methods are those of the pointer, with what comes from embedded types.
func methods(object *types.TypeName, named *types.Named, in types.Qualifier) (lines []string) {
	values := types.NewMethodSet(named)
	for selection := range types.NewMethodSet(types.NewPointer(named)).Methods() {
		method := selection.Obj().(*types.Func)
		if !method.Exported() {
			continue
		}
		receiver := "*" + object.Name()
		if values.Lookup(method.Pkg(), method.Name()) != nil {
			receiver = object.Name()
		}
		lines = append(lines, fmt.Sprintf("method (%s) %s%s", receiver, method.Name(), signature(method, in)))
	}
	return lines
}

func signature(method *types.Func, in types.Qualifier) string {
	return types.TypeString(method.Type(), in)[len("func"):]
}
